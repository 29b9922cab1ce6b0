//! Keeps this node's own entry in step with its parameters: addresses, names, the unwillingness to fail over.

use crate::cluster::Cluster;
use crate::node::{Address, Labels};
use crate::settings::Settings;
use baton_wire::{IpText, NodeFlags};
use std::sync::Arc;

impl Cluster {
    /// New parameters at run time.
    pub(crate) fn on_settings_changed(&mut self, settings: Settings) {
        let announced_before = !self.settings.announce_ip.is_empty();
        self.settings = settings;
        if announced_before && self.settings.announce_ip.is_empty() {
            // The next peer to connect tells where we are reached.
            self.myself_mut().address.ip = IpText::EMPTY;
        }
        self.refresh_own_announcement();
        self.todo.health = true;
        self.todo.failover = true;
        self.todo.publish = true;
    }

    /// Copies the parameters that describe this node into its entry.
    pub(crate) fn refresh_own_announcement(&mut self) {
        let settings = self.settings.clone();
        let me = self.myself_mut();
        let announced = IpText::new(&settings.announce_ip).unwrap_or(IpText::EMPTY);
        let ip = if announced.is_empty() { me.address.ip } else { announced };
        me.address = Address {
            ip,
            tcp_port: settings.announced_tcp_port(),
            tls_port: settings.announced_tls_port(),
            bus_port: settings.announced_bus_port(),
        };
        me.labels = Arc::new(Labels {
            hostname: settings.hostname,
            nodename: settings.nodename,
            client_ipv4: settings.client_ipv4,
            client_ipv6: settings.client_ipv6,
            client_port: settings.client_port,
            client_tls_port: settings.client_tls_port,
            availability_zone: settings.availability_zone,
        });
        me.flags.set(NodeFlags::NOFAILOVER, settings.replica_no_failover);
        self.todo.save_lazily();
    }
}
