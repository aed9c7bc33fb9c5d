#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/log.hpp"
#include "ipam/io/daemon.hpp"
#include "ipam/messages.hpp"

// How manul-ipamd follows the datastore.

namespace manul::ipam {

namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
constexpr std::int64_t kFirstTidyUs = 30 * kSecondUs;

}  // namespace

void Ipamd::connect() {
    store_worker_.submit([this] {
        return [this, connected = host_.connect()]() mutable {
            if (connected) {
                on_connected(*std::move(connected));
                return;
            }
            on_unreachable(connected.error().message);
            if (node_missing_) {
                update_report();
            }
        };
    });
}

void Ipamd::on_unreachable(const std::string& problem) {
    if (problem != last_problem_) {
        log::emit(kStoreUnreachable, problem);
    }
    last_problem_ = problem;
    connect_timer_.after_us(kSecondUs);
}

void Ipamd::on_connected(HostService::Connected connected) {
    last_problem_.clear();
    in_sync_ = true;
    node_missing_ = false;
    log::emit(kStoreReached, connected.pools, connected.endpoints);
    watch_store(std::move(connected.readable));
    take_changes();
    if (!presence_timer_.armed()) {
        presence_timer_.after_us(0);
        tidy_timer_.after_us(kFirstTidyUs);
        chores_.start();
    }
    sync_tunnels();
    update_report();
}

void Ipamd::watch_store(UniqueFd readable) {
    store_watch_.reset();
    store_readable_ = std::move(readable);
    watch_store_again();
}

void Ipamd::watch_store_again() {
    if (!store_readable_) {  // for want of descriptors
        in_sync_ = false;
        connect_timer_.after_us(kSecondUs);
        return;
    }
    store_watch_ = std::make_unique<ReadableWatch>(daemon_.io(), store_readable_.get(), [this] {
        // It stays readable until the worker has taken what is there: to watch on would be a busy loop.
        store_watch_.reset();
        take_changes();
    });
}

void Ipamd::take_changes() {
    if (taking_changes_) {
        return;
    }
    taking_changes_ = true;
    store_worker_.submit([this] {
        return [this, taken = host_.take_changes()]() mutable {
            taking_changes_ = false;
            on_changes(std::move(taken));
            if (in_sync_ && !store_watch_) {
                watch_store_again();
            }
        };
    });
}

void Ipamd::on_changes(HostService::Taken taken) {
    if (!taken.changes) {
        in_sync_ = false;
        store_watch_.reset();
        on_unreachable(taken.changes.error().msg);
        return;
    }
    const Service::Changes& changes = *taken.changes;
    for (const std::string& refused : changes.refused) {
        log::emit(kPodRefused, refused);
    }
    if (changes.restarted) {
        watch_store(std::move(taken.readable));
    }
    if (changes.own_node_removed) {
        node_missing_ = host_.identity().on_kubernetes;
        log::emit(node_missing_ ? kNodeMissing : kNodeRestored, settings_.node_name);
        connect();
    }
    if (changes.pools_changed) {
        sync_tunnels();
        // Blocks that serve no pool any more are in the way of who makes one of their range anew.
        tidy_timer_.after_us(kSecondUs);
    }
    if (changes.any) {
        update_report();
    }
}

}  // namespace manul::ipam
