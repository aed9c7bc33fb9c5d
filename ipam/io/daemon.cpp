#include "ipam/io/daemon.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ratio>
#include <utility>

#include <fmt/core.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/log.hpp"
#include "base/try.hpp"
#include "ipam/io/status.hpp"
#include "ipam/io/teardown.hpp"
#include "ipam/io/wall_clock.hpp"
#include "ipam/messages.hpp"

// The parts of manul-ipamd put together, and what it says of itself.

namespace manul::ipam {

namespace {

namespace json = boost::json;

Result<void> make_directory(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
        return fail(path + ": cannot create: " + std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
    }
    return {};
}

}  // namespace

Ipamd::Ipamd(Daemon& daemon, const config::Settings& settings, std::unique_ptr<store::Store> store)
    : daemon_(daemon),
      settings_(settings),
      store_(std::move(store)),
      host_(*store_, settings),
      connect_timer_(daemon.io(), [this] { connect(); }),
      presence_timer_(daemon.io(), [this] { check_presence(); }),
      tidy_timer_(daemon.io(), [this] { tidy(); }),
      history_timer_(daemon.io(), [this] { write_history(); }),
      chores_(daemon.io(), settings, metrics_, [this] { return in_sync_; }),
      store_worker_(daemon.io()),
      link_worker_(daemon.io()),
      report_(daemon.io(), store_worker_, *store_) {}

Ipamd::~Ipamd() = default;

Result<void> Ipamd::open() {
    MANUL_CHECK(make_directory(settings_.run_dir, 0755));
    MANUL_CHECK(make_directory(settings_.state_dir, 0755));
    MANUL_TRY(auto links, HostLinks::open());
    links_ = std::make_unique<HostLinks>(std::move(links));
    MANUL_CHECK(host_.open());
    cni_server_ = std::make_unique<CniServer>(daemon_.io(), settings_,
                                              CniServer::Parts{store_worker_, host_, link_worker_, *links_, metrics_,
                                                               [this](std::optional<HostService::Taken> taken) {
                                                                   if (in_sync_ && taken) {
                                                                       on_changes(*std::move(taken));
                                                                   }
                                                                   write_history_soon();
                                                               }});
    // First: where another one listens already, nothing of its may be touched. Nobody is answered before this returns.
    MANUL_CHECK(cni_server_->open());
    MANUL_TRY(control_server_, control::Server::listen(daemon_.io(), settings_.run_dir + "/ipamd.sock",
                                                       [this](const json::object& request, control::Reply reply) {
                                                           on_control_request(request, std::move(reply));
                                                       }));
    // What was put aside before a restart: its attachment is freed by its DEL or as a leak.
    MANUL_TRY(const auto present, links_->list());
    store_worker_.submit([this, uplinks = uplinks_of(present)]() mutable {
        host_.service().set_uplinks(std::move(uplinks));
        return [] {};
    });
    std::vector<std::uint32_t> doomed;
    for (const netlink::Link& link : present) {
        if (link.group == kDoomedGroup) {
            doomed.push_back(link.index);
        }
    }
    MANUL_CHECK(links_->remove(doomed));
    MANUL_CHECK(open_status_servers());
    cni_server_->read_journal();
    connect();
    return {};
}

/// Of manulctl.
void Ipamd::on_control_request(const json::object& request, control::Reply reply) {
    const json::value* op = request.if_contains("op");
    const std::string name = op != nullptr && op->is_string() ? std::string(op->get_string()) : std::string();
    if (name != "status" && name != "show") {
        reply(json::object{{"error", "unknown op \"" + name + "\"; known are status and show"}});
        return;
    }
    DaemonState state{.node = settings_.node_name,
                      .in_sync = in_sync_,
                      .problem = last_problem_,
                      .waiting_adds = cni_server_->waiting_adds(),
                      .waiting_deletes = cni_server_->waiting_dels()};
    auto shared = std::make_shared<control::Reply>(std::move(reply));
    store_worker_.submit([this, name, state = std::move(state), shared] {
        json::value answer =
            name == "status" ? status_json(host_.service(), state) : show_json(host_.service(), wall_now());
        return [shared, answer = std::move(answer)] { (*shared)(answer); };
    });
}

std::string Ipamd::exposition() {
    metrics_.waiting_adds.set(static_cast<double>(cni_server_->waiting_adds()));
    metrics_.waiting_dels.set(static_cast<double>(cni_server_->waiting_dels()));
    metrics_.in_sync.set(in_sync_ ? 1 : 0);
    metrics_.does_chores.set(chores_.holds_lease() ? 1 : 0);
    // Counted by the committer; here alone they are carried over.
    const Committer& committer = host_.service().committer();
    metrics_.commits.add(committer.commits() - metrics_.commits.value());
    metrics_.conflicts.add(committer.conflicts() - metrics_.conflicts.value());
    return metrics_.registry.exposition();
}

Result<void> Ipamd::open_status_servers() {
    const std::uint16_t metrics_port = settings_.listeners.ipamd_metrics_port;
    const std::uint16_t health_port = settings_.listeners.ipamd_health_port;
    http_status::Pages metrics{.metrics = [this] { return exposition(); }, .live = {}, .ready = {}};
    http_status::Pages health{
        .metrics = {},
        .live = [] { return http_status::Checks{{"process", true, "answers"}}; },
        .ready =
            [this] {
                return http_status::Checks{{"datastore", in_sync_, in_sync_ ? std::string("in sync") : last_problem_}};
            }};
    if (metrics_port != 0 && metrics_port == health_port) {
        metrics.live = std::move(health.live);
        metrics.ready = std::move(health.ready);
    }
    const auto listen = [this](std::uint16_t port, http_status::Pages pages) -> Result<void> {
        MANUL_TRY(auto server,
                  http_status::Server::listen(daemon_.io(), settings_.listeners.metrics_host, port, std::move(pages)));
        status_servers_.push_back(std::move(server));
        return {};
    };
    if (metrics_port != 0) {
        MANUL_CHECK(listen(metrics_port, std::move(metrics)));
    }
    if (health_port != 0 && health_port != metrics_port) {
        MANUL_CHECK(listen(health_port, std::move(health)));
    }
    return {};
}

void Ipamd::update_report() {
    store_worker_.submit([this, in_sync = in_sync_, node_missing = node_missing_] {
        const Knowledge& knowledge = host_.service().knowledge();
        model::NodeReportSpec content = knowledge.report();
        content.in_sync = in_sync;
        if (node_missing) {  // that the report changes is the sign of life that keeps this node's addresses its own
            const auto seen = std::chrono::floor<std::chrono::duration<std::int64_t, std::ratio<300>>>(wall_now());
            content.conditions.push_back({"NodeMissing", fmt::format("there is no Node {}, and this node lives (at {})",
                                                                     settings_.node_name, print_timestamp(seen))});
        }
        return [this, content = std::move(content), nodes = knowledge.node_count()]() mutable {
            report(std::move(content), nodes);
        };
    });
}

void Ipamd::report(model::NodeReportSpec content, std::size_t nodes) {
    for (const model::NotInForce& refusal : content.not_in_force) {
        if (std::ranges::find(known_refusals_, refusal) == known_refusals_.end()) {
            log::emit(kObjectRefused, refusal.kind, refusal.name, refusal.reason);
        }
    }
    known_refusals_ = content.not_in_force;
    report_.set_node_count(nodes);
    report_.update(std::move(content));
}

}  // namespace manul::ipam
