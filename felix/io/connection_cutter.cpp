#include "felix/io/connection_cutter.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/daemon.hpp"
#include "base/log.hpp"
#include "base/overloaded.hpp"
#include "felix/eval/path.hpp"
#include "felix/io/conntrack.hpp"
#include "felix/io/messages.hpp"
#include "felix/model/config.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

namespace {

/// Whether verdicts may differ after it.
bool concerns_verdicts(const Update& update) {
    return std::visit(overloaded{
                          [](const PoolsChanged&) { return false; },
                          [](const RouteUpdated&) { return false; },
                          [](const RouteRemoved&) { return false; },
                          [](const HostEndpointUpdated&) { return false; },
                          [](const HostEndpointRemoved&) { return false; },
                          [](const auto&) { return true; },
                      },
                      update);
}

}  // namespace

void ConnectionCutter::apply(const Batch& batch, const Config& config, const std::set<net::Ip>& own) {
    if (!config.cut_denied_connections) {
        snapshot_.reset();
        return;
    }
    own_ = own;
    const bool is_new = !snapshot_;
    if (is_new) {
        snapshot_ = graph_.snapshot();
    } else {
        for (const Update& update : batch) {
            snapshot_->apply(update);
        }
    }
    if (is_new || std::ranges::any_of(batch, concerns_verdicts)) {
        list_flows();
    }
}

void ConnectionCutter::list_flows() {
    if (std::exchange(listing_, true)) {
        list_again_ = true;
        return;
    }
    worker_.submit([this]() -> std::move_only_function<void()> {
        auto flows = conntrack_.list();
        return [this, flows = std::move(flows)] {
            listing_ = false;
            if (!flows) {
                log::emit(kConntrackFailed, flows.error().message);
            } else {
                judge(*flows);
            }
            if (std::exchange(list_again_, false)) {
                list_flows();
            }
        };
    });
}

void ConnectionCutter::judge(const std::vector<Flow>& flows) {
    if (!snapshot_) {
        return;  // switched off meanwhile
    }
    const ConnectionJudge judge(*snapshot_, own_);
    std::vector<Flow> denied;
    std::ranges::copy_if(flows, std::back_inserter(denied),
                         [&judge](const Flow& flow) { return judge.denies(flow.packet); });
    if (denied.empty()) {
        return;
    }
    log::emit(kConnectionsCut, denied.size());
    worker_.submit([this, denied = std::move(denied)]() -> std::move_only_function<void()> {
        if (const auto done = conntrack_.forget(denied); !done) {
            log::emit(kConntrackFailed, done.error().message);
        }
        return [] {};
    });
}

}  // namespace manul::felix::io
