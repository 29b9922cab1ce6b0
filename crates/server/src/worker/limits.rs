//! How much a connection may let pile up: requests that are not whole, and replies that it does not read. Who goes beyond
//! is closed; nothing is refused halfway.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use baton_base::Mono;
use baton_config::ClientClass;

use super::Worker;
use super::client::Client;
use crate::client_memory;
use crate::shared::Shared;

/// Replies up to this many bytes have room in every connection's own buffer and are held against no limit, as upstream
/// counts.
pub(crate) const FREE_OUTPUT_BYTES: usize = 16 * 1024;
/// What a connection that has to authenticate first may let pile up beyond that.
const UNAUTHENTICATED_OUTPUT_BYTES: u64 = 1024;
/// Query bytes below this are within every limit that can be configured.
const QUERY_BYTES_ALWAYS_ALLOWED: usize = 1 << 20;

impl Worker {
    /// Sends waiting replies. False if the connection is to end now.
    pub(super) fn send(&mut self, shared: &Shared, client: &mut Client) -> bool {
        let pending = client.output_bytes();
        if pending == 0 {
            return !client.closing;
        }
        if (pending > FREE_OUTPUT_BYTES || !client.once_authenticated) && self.over_output_limit(shared, client) {
            return false;
        }
        self.flush(shared, client) && !(client.closing && client.output_bytes() == 0)
    }

    /// Whether a client has let more replies pile up than its class may, now or for too long.
    #[cold]
    pub(super) fn over_output_limit(&mut self, shared: &Shared, client: &mut Client) -> bool {
        let world = shared.world.peek();
        let pending = client.output_bytes();
        let held = pending.saturating_sub(FREE_OUTPUT_BYTES) as u64;
        let unfree = world.no_free_output && pending > 0;
        let over = if client.once_authenticated {
            let class = if client.subscriptions.is_some() { ClientClass::PubSub } else { ClientClass::Normal };
            let limit = world.settings.output_limit(class);
            let soft = limit.soft_bytes > 0 && held > limit.soft_bytes;
            let since = self.over_soft_since(client, soft, shared.clock.mono());
            let too_long = |since: Mono| {
                shared.clock.mono().since(since) > Duration::from_secs(limit.soft_seconds.max(0).unsigned_abs())
            };
            (limit.hard_bytes > 0 && held > limit.hard_bytes) || since.is_some_and(too_long)
        } else {
            held > UNAUTHENTICATED_OUTPUT_BYTES || unfree
        };
        if over {
            client.publish_state();
            let line = client.meta.line(shared.clock.mono());
            shared
                .log
                .warning(&format!("Client {line} scheduled to be closed ASAP for overcoming of output buffer limits."));
            shared.stats.output_limit_closed.add_shared(1);
        }
        over
    }

    /// Notes whether a client is over its soft limit; gives since when.
    fn over_soft_since(&mut self, client: &mut Client, over: bool, now: Mono) -> Option<Mono> {
        match (client.over_soft_since, over) {
            (None, true) => {
                self.seat.over_soft += 1;
                client.over_soft_since = Some(now);
            }
            (Some(_), false) => {
                self.seat.over_soft -= 1;
                client.over_soft_since = None;
            }
            _ => {}
        }
        client.over_soft_since
    }

    /// A client that ends is over no limit any more.
    pub(super) fn forget_soft_limit(&mut self, client: &mut Client) {
        self.over_soft_since(client, false, Mono::default());
    }

    /// Whether the requests that wait are within the limit. False if the connection is to end now.
    pub(super) fn within_query_limit(&self, shared: &Shared, client: &Client) -> bool {
        let waiting = client.input.len();
        client.publish_buffers();
        let clients_max = shared.world.peek().hot.clients_memory_max;
        if clients_max > 0 && waiting > FREE_OUTPUT_BYTES {
            client_memory::weigh(shared, &client.meta, clients_max);
            if client.meta.doomed.load(Relaxed) {
                return false;
            }
        }
        let queued = client.transaction.as_ref().map_or(0, |t| t.bytes);
        if waiting + queued < QUERY_BYTES_ALWAYS_ALLOWED {
            return true;
        }
        if waiting + queued <= shared.world.peek().hot.query_buffer_limit {
            return true;
        }
        let line = client.meta.line(shared.clock.mono());
        let shown = baton_base::quote::quoted(&client.input[..waiting.min(64)]);
        shared.log.warning(&format!(
            "Closing client that reached max query buffer length: {line} (qbuf initial bytes: {shown})"
        ));
        shared.stats.query_limit_closed.add_shared(1);
        false
    }
}
