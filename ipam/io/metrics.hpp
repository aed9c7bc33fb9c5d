#pragma once

#include "base/metrics.hpp"

namespace manul::ipam {

/// What manul-ipamd counts for Prometheus. Written by several threads, read by the one that answers.
struct Metrics {
    metrics::Registry registry;
    metrics::Counter& adds = registry.counter("manul_ipamd_adds_total", "ADDs by result", {{"result", "ok"}});
    metrics::Counter& adds_failed =
        registry.counter("manul_ipamd_adds_total", "ADDs by result", {{"result", "failed"}});
    metrics::Counter& dels = registry.counter("manul_ipamd_dels_total", "DELs that were carried out");
    metrics::Counter& dels_delayed =
        registry.counter("manul_ipamd_dels_delayed_total", "times that a DEL has to be tried again");
    metrics::Counter& blocks_given_up =
        registry.counter("manul_ipamd_blocks_given_up_total", "empty blocks that this node gave back");
    metrics::Counter& leaks_freed =
        registry.counter("manul_ipamd_leaks_freed_total", "handles that nobody used; a steady rate is a leak");
    metrics::Gauge& endpoints = registry.gauge("manul_ipamd_endpoints", "endpoints of this node");
    metrics::Counter& commits = registry.counter("manul_ipamd_commits_total", "transactions");
    metrics::Counter& conflicts =
        registry.counter("manul_ipamd_conflicts_total", "transactions that another writer spoiled");
    metrics::Gauge& waiting_adds = registry.gauge("manul_ipamd_waiting_adds", "ADDs that are not answered yet");
    metrics::Gauge& waiting_dels = registry.gauge("manul_ipamd_waiting_dels", "DELs that are not carried out yet");
    metrics::Gauge& in_sync = registry.gauge("manul_ipamd_in_sync", "1 while the datastore can be used");
    metrics::Gauge& does_chores =
        registry.gauge("manul_ipamd_does_chores", "1 on the node that works for the whole cluster");
    metrics::Histogram& commit_seconds =
        registry.histogram("manul_ipamd_add_commit_seconds", "time of the transactions of ADDs",
                           {0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5});
};

}  // namespace manul::ipam
