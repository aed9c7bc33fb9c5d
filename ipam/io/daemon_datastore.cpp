#include <fcntl.h>
#include <sys/statvfs.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "config/own_node.hpp"
#include "ipam/io/daemon.hpp"
#include "ipam/io/teardown.hpp"
#include "ipam/messages.hpp"

// How manul-ipamd follows the datastore.

namespace manul::ipam {

namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
constexpr const char* kNotWritable = "the datastore cannot be written: ";

}  // namespace

std::string Ipamd::why_not_writable() const {
    const auto& refused = service_.committer().problem();
    if (refused && std::chrono::steady_clock::now() - write_refused_at_ < kWriteRefused) {
        return refused->msg;
    }
    const std::string& path = settings_.datastore.path;
    struct statvfs file_system{};
    if (settings_.datastore.type != config::DatastoreType::sqlite || ::statvfs(path.c_str(), &file_system) != 0) {
        return {};
    }
    if ((file_system.f_flag & ST_RDONLY) != 0) {
        return std::string(kNotWritable) + path + ": its file system is read-only";
    }
    return file_system.f_bfree == 0 ? std::string(kNotWritable) + path + ": its file system is full" : std::string();
}

void Ipamd::connect() {
    store_worker_.submit([this] {
        std::string problem;
        std::size_t pools = 0;
        std::size_t endpoints = 0;
        UniqueFd readable;
        if (const auto node = config::ensure_own_node(*store_, settings_); !node) {
            problem = node.error().message;
        } else if (const auto done = service_.start(); !done) {
            problem = done.error().msg;
        } else {
            look_for_unrecorded();
            pools = service_.knowledge().world().pools.size();
            const auto known = service_.attachments();
            endpoints = known ? known->size() : 0;
            readable = duplicate_watch();
        }
        return [this, problem = std::move(problem), pools, endpoints, readable = std::move(readable)]() mutable {
            if (!problem.empty()) {
                if (problem != last_problem_) {
                    log::emit(kStoreUnreachable, problem);
                }
                last_problem_ = problem;
                connect_timer_.after_us(kSecondUs);
                if (node_missing_) {
                    update_report();
                }
                return;
            }
            last_problem_.clear();
            started_ = true;
            node_missing_ = false;
            log::emit(kStoreReached, pools, endpoints);
            watch_store(std::move(readable));
            take_changes();
            if (!presence_timer_.armed()) {
                presence_timer_.after_us(0);
                tidy_timer_.after_us(kTidyUs);
                chores_timer_.after_us(0);
            }
            sync_tunnels();
            update_report();
        };
    });
}

UniqueFd Ipamd::duplicate_watch() const { return UniqueFd(::fcntl(service_.watch_fd(), F_DUPFD_CLOEXEC, 0)); }

/// A duplicate, since the service belongs to the worker, which may begin another watch at any time: the number of a
/// descriptor that it closed may be anybody's a moment later.
void Ipamd::watch_store(UniqueFd readable) {
    store_watch_.reset();
    store_readable_ = std::move(readable);
    watch_store_again();
}

void Ipamd::watch_store_again() {
    if (!store_readable_) {  // for want of descriptors
        started_ = false;
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
        auto changes = service_.take_changes();
        UniqueFd readable;
        if (changes && changes->restarted) {
            look_for_unrecorded();
            readable = duplicate_watch();
        }
        return [this, changes = std::move(changes), readable = std::move(readable)]() mutable {
            taking_changes_ = false;
            on_changes(changes, std::move(readable));
            if (started_ && !store_watch_) {
                watch_store_again();
            }
        };
    });
}

/// A datastore that takes the place of a lost one, or was restored from an older backup, does not know which addresses
/// are in use. The kernel does. On Kubernetes endpoints follow from Pods, and the kubelet ends what it does not know.
void Ipamd::look_for_unrecorded() {
    const auto links = lookout_->list();
    const auto known = service_.attachments();
    if (host_.on_kubernetes || !links || !known) {
        return;
    }
    auto addresses = lookout_->addresses_behind(unrecorded_links(*known, *links));
    if (!addresses) {
        return;
    }
    if (addresses->size() > unrecorded_) {
        log::emit(kUnrecorded, addresses->size(), addresses->begin()->first.to_string(), addresses->begin()->second);
    }
    unrecorded_ = addresses->size();
    service_.set_unrecorded(*std::move(addresses));
}

void Ipamd::on_changes(const Outcome<Service::Changes>& changes, UniqueFd readable) {
    if (!changes) {
        if (changes.error().msg != last_problem_) {
            log::emit(kStoreUnreachable, changes.error().msg);
        }
        last_problem_ = changes.error().msg;
        started_ = false;
        store_watch_.reset();
        connect_timer_.after_us(kSecondUs);
        return;
    }
    for (const std::string& refused : changes->refused) {
        log::emit(kPodRefused, refused);
    }
    if (changes->restarted) {
        watch_store(std::move(readable));
    }
    if (changes->own_node_removed) {
        node_missing_ = host_.on_kubernetes;
        log::emit(node_missing_ ? kNodeMissing : kNodeRestored, settings_.node_name);
        connect();
    }
    if (changes->pools_changed) {
        sync_tunnels();
        // Blocks that serve no pool any more are in the way of who makes one of their range anew.
        tidy_timer_.after_us(kSecondUs);
    }
    if (changes->any) {
        update_report();
    }
}

}  // namespace manul::ipam
