#include "ipam/io/host_service.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.hpp"
#include "base/try.hpp"
#include "config/own_node.hpp"
#include "ipam/io/wall_clock.hpp"
#include "ipam/messages.hpp"

namespace manul::ipam {

namespace {

constexpr const char* kNotWritable = "the datastore cannot be written: ";
constexpr std::chrono::seconds kWriteRefused{30};

/// The running kernel's boot id; empty when it cannot be read.
std::string read_boot_id() {
    const UniqueFd file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    std::array<char, 64> buffer{};
    const ssize_t count = file ? ::read(file.get(), buffer.data(), buffer.size()) : 0;
    std::string id(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    while (!id.empty() && id.back() == '\n') {
        id.pop_back();
    }
    return id;
}

/// On Kubernetes the boot is not noted: it would stand in the Pod, where its owner could write another, and pods get a
/// new sandbox after a reboot anyway.
HostIdentity identity_of_host(const config::Settings& settings) {
    const bool on_kubernetes = settings.datastore.type == config::DatastoreType::kubernetes;
    return {settings.node_name, on_kubernetes ? std::string() : read_boot_id(), on_kubernetes};
}

}  // namespace

std::vector<Uplink> uplinks_of(const std::vector<netlink::Link>& links) {
    std::vector<Uplink> out;
    for (const netlink::Link& link : links) {
        if (!link.is_loopback() && !is_host_end(link)) {
            out.push_back({link.name, link.mtu});
        }
    }
    return out;
}

HostService::HostService(store::Store& store, const config::Settings& settings)
    : store_(store),
      settings_(settings),
      identity_(identity_of_host(settings)),
      service_(store, identity_),
      history_(settings.state_dir + "/ipam-history.log") {}

Result<void> HostService::open() {
    MANUL_TRY(auto links, HostLinks::open());
    links_.emplace(std::move(links));
    return {};
}

Result<HostService::Connected> HostService::connect() {
    if (const auto node = config::ensure_own_node(store_, settings_); !node) {
        return fail(node.error().message);
    }
    if (const auto done = service_.start(); !done) {
        return fail(done.error().msg);
    }
    find_unrecorded();
    const auto known = service_.attachments();
    return Connected{service_.knowledge().world().pools.size(), known ? known->size() : 0, duplicate_watch()};
}

UniqueFd HostService::duplicate_watch() const { return UniqueFd(::fcntl(service_.watch_fd(), F_DUPFD_CLOEXEC, 0)); }

HostService::Taken HostService::take_changes() {
    Taken out{service_.take_changes(), {}};
    if (out.changes && out.changes->restarted) {
        find_unrecorded();
        out.readable = duplicate_watch();
    }
    return out;
}

/// What was applied before the request counts. Whoever writes says so, some of them a moment later: when nothing was
/// said, the log of the store is read before somebody is refused, and otherwise not.
HostService::Added HostService::add(std::span<const Request> requests) {
    Added out;
    pollfd said{service_.watch_fd(), POLLIN, 0};
    if (::poll(&said, 1, 0) > 0) {
        out.taken = take_changes();
    }
    out.results = service_.add(requests, wall_now());
    const auto is_refused = [](const AddResult& result) { return result.answer.error.has_value(); };
    if (std::ranges::none_of(out.results, is_refused)) {
        return out;
    }
    if (service_.committer().problem()) {
        write_refused_at_ = std::chrono::steady_clock::now();
    }
    const std::size_t unrecorded = unrecorded_;
    bool anything_new = false;
    if (!out.taken) {
        out.taken = take_changes();
        anything_new = out.taken->changes && out.taken->changes->any;
    }
    if (unrecorded > 0) {  // some of those pods may have ended
        find_unrecorded();
        anything_new = anything_new || unrecorded_ < unrecorded;
    }
    for (std::size_t i = 0; anything_new && i < requests.size(); ++i) {
        if (is_refused(out.results[i])) {
            out.results[i] = service_.add(requests.subspan(i, 1), wall_now()).front();
        }
    }
    return out;
}

/// On Kubernetes a Pod that was deleted takes the record of its container along, and elsewhere a datastore that was
/// lost: the link may still be there.
std::optional<KnownAttachment> HostService::predecessor_of(const Request& request) {
    auto known = service_.predecessor_of(request).value_or(std::nullopt);
    if (!known && (identity_.on_kubernetes || unrecorded_ > 0) && link_exists(request.host_interface)) {
        known = KnownAttachment{request.network, {{}, request.attachment.ifname}, request.host_interface};
    }
    return known;
}

Answer HostService::answer(const Request& request) {
    if (request.op == Op::check) {
        return service_.check(request);
    }
    Answer answer = service_.status(request, wall_now());
    if (!answer.error) {
        if (const std::string why = why_not_writable(); !why.empty()) {
            answer = failure(ErrorCode::not_available, why);
        }
    }
    return answer;
}

bool HostService::has_anything_of(const Request& del) {
    const auto known = service_.find(del.attachment).value_or(std::nullopt);
    const bool of_another = known && !known->network.empty() && known->network != del.network;
    return !service_.is_unknown({del.network, del.attachment, {}}) ||
           (!of_another && link_may_exist(del.host_interface));
}

/// For a file on this host its present state, for others the reason of a recent refusal of an ADD. Empty if no reason
/// is known.
std::string HostService::why_not_writable() const {
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

void HostService::observe(const std::vector<netlink::Link>& links) {
    service_.set_uplinks(uplinks_of(links));
    const auto known = service_.attachments();
    const auto dead =
        known ? presence_.observe(*known, links, std::chrono::steady_clock::now()) : std::vector<Release>{};
    const auto results = service_.release(dead, wall_now());
    write_history();  // of the deleter too
    for (std::size_t i = 0; i < dead.size(); ++i) {
        if (results[i] && *results[i]) {
            log::emit(kInterfaceGone, dead[i].attachment.container_id, dead[i].attachment.ifname);
        }
    }
}

Outcome<std::vector<std::string>> HostService::sync_tunnels() {
    auto done = service_.sync_tunnels(wall_now());
    write_history();
    return done;
}

/// A datastore that takes the place of a lost one, or was restored from an older backup, does not know which addresses
/// are in use. The kernel does. On Kubernetes endpoints follow from Pods, and the kubelet ends what it does not know.
void HostService::find_unrecorded() {
    const auto links = links_->list();
    const auto known = service_.attachments();
    if (identity_.on_kubernetes || !links || !known) {
        return;
    }
    auto addresses = links_->addresses_behind(unrecorded_links(*known, *links));
    if (!addresses) {
        return;
    }
    if (addresses->size() > unrecorded_) {
        log::emit(kUnrecorded, addresses->size(), addresses->begin()->first.to_string(), addresses->begin()->second);
    }
    unrecorded_ = addresses->size();
    service_.set_unrecorded(*std::move(addresses));
}

}  // namespace manul::ipam
