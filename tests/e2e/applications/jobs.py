"""The tasks that workers of job libraries run in test_applications.py."""

import os

from celery import Celery

broker = os.environ.get("BROKER", "redis://127.0.0.1:6379")
app = Celery("jobs", broker=f"{broker}/1", backend=f"{broker}/2")


def add(a, b):
    return a + b


@app.task
def double(number):
    return number * 2
