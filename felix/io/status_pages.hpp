#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/daemon.hpp"
#include "base/http_status.hpp"
#include "base/metrics.hpp"
#include "felix/model/config.hpp"

namespace manul::felix::io {

/// The state of felix at one moment, for metrics and probes.
struct Facts {
    bool store_connected = false;
    bool store_lost = false;  ///< an empty one has replaced it
    bool listed = false;      ///< everything that the store held at the start was read
    bool in_sync = false;     ///< and is in the kernel
    bool commit_pending = false;
    std::string problem;  ///< of the last refused commit

    std::size_t local_endpoints = 0;
    std::size_t local_policies = 0;
    std::size_t sets = 0;
    std::size_t routes = 0;
    std::size_t not_in_force = 0;
    std::size_t cluster_nodes = 0;
    std::size_t cluster_policies = 0;
    std::size_t cluster_profiles = 0;
    std::size_t cluster_tiers = 0;
    std::size_t cluster_host_endpoints = 0;
    std::size_t cluster_workload_endpoints = 0;
    std::size_t tables = 0;
    std::size_t chains = 0;
    std::size_t rules = 0;

    std::uint64_t commits = 0;
    std::uint64_t failures = 0;
    std::uint64_t drifts = 0;  ///< how often somebody else had changed our tables
    std::uint64_t updates = 0;
    std::uint64_t packets_logged = 0;
    std::uint64_t packets_damaged = 0;
    std::uint64_t log_overruns = 0;
};

/// Metrics and probes over HTTP, where FelixConfiguration switches them on. With the names of Felix (`felix_...`)
/// beside our own (`manul_felix_...`) when `felix_names` is set, for dashboards that know those.
class StatusPages {
public:
    /// `add_more` adds what is not in Facts to an exposition.
    StatusPages(boost::asio::io_context& io, bool felix_names, std::function<Facts()> facts,
                std::function<void(metrics::Registry&)> add_more);

    /// Opens, moves or closes the listeners. One that cannot be opened is retried every 10 s.
    void configure(const HttpListener& metrics, const HttpListener& health);

    void observe_calculation(double seconds) { calculation_.observe(seconds); }
    void observe_apply(double seconds) { apply_.observe(seconds); }

    [[nodiscard]] std::string exposition() const;
    [[nodiscard]] http_status::Checks readiness() const;

private:
    struct Listener {
        const char* what;
        HttpListener wanted;
        std::unique_ptr<http_status::Server> server;
        http_status::Pages pages;
    };
    void open(Listener& listener);
    void open_missing();

    boost::asio::io_context& io_;
    bool felix_names_;
    std::function<Facts()> facts_;
    std::function<void(metrics::Registry&)> add_more_;
    metrics::Registry durations_;
    metrics::Histogram& calculation_;
    metrics::Histogram& apply_;
    Listener metrics_;
    Listener health_;
    Timer retry_;
};

}  // namespace manul::felix::io
