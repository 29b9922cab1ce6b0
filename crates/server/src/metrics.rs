//! Figures for monitoring systems over HTTP, on `metrics-port`: a thread of its own listens, and short-lived ones answer,
//! so that a scrape costs the data plane no more than reading its counters. Nothing can be changed here.

mod http;
mod text;

use std::net::TcpListener;
use std::sync::Arc;

use baton_config::Id;

use crate::shared::Shared;
use crate::start::StartError;

/// Begins to serve, if `metrics-port` says so.
pub fn start(shared: &Arc<Shared>) -> Result<(), StartError> {
    let settings = Arc::clone(&shared.world.load().settings);
    let port = settings.port_of(Id::MetricsPort);
    if port == 0 {
        return Ok(());
    }
    let host = settings.text(Id::MetricsBind);
    let listener = TcpListener::bind((host, port)).map_err(|e| {
        let text = format!("Failed listening on {host}:{port} (metrics), aborting: {}", crate::listen::text_of(&e));
        shared.log.warning(&text);
        StartError(text)
    })?;
    shared.log.notice(&format!("Metrics are served at http://{host}:{port}/metrics"));
    let pages = Arc::new(text::Pages::new(shared));
    std::thread::Builder::new().name("baton-metrics".into()).spawn(move || http::serve(&listener, &pages))?;
    Ok(())
}
