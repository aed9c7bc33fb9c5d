#include "cni/add.hpp"

#include <sys/random.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/try.hpp"
#include "cni/del.hpp"
#include "cni/error.hpp"
#include "cni/ipamd.hpp"
#include "cni/net_conf.hpp"
#include "cni/ready_wait.hpp"
#include "cni/result.hpp"
#include "cni/veth.hpp"
#include "ipam/local/protocol.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

namespace manul::cni {

namespace {

/// Locally administered, unicast.
net::Mac random_mac() {
    std::array<std::uint8_t, 6> bytes{};
    (void)::getrandom(bytes.data(), bytes.size(), 0);
    bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0xfcU) | 0x02U);
    return net::Mac(bytes);
}

/// The container whose interface of this name the pod has: the alias of its other end. Some clients delete one
/// container and add another one to the same namespace.
CniResult<std::string> owner_of(Veth& veth, const std::string& ifname) {
    MANUL_TRY(const auto pod, veth.pod_link(ifname));
    if (!pod || pod->lower == 0) {
        return std::string();
    }
    MANUL_TRY(auto host, veth.host_link(pod->lower));
    return host && host->lower == pod->index ? std::move(host->alias) : std::string();
}

/// The interface of an attachment whose DEL was answered goes within moments. Any other one is in the way.
CniResult<void> wait_for_del(Veth& veth, const ipam::Request& add, const NetConf& conf) {
    constexpr std::chrono::milliseconds kLookAgain{1};
    ipam::Request question = add;
    question.op = ipam::Op::check;
    question.ips.clear();
    MANUL_TRY(std::string owner, owner_of(veth, add.attachment.ifname));
    if (!owner.empty()) {
        question.attachment.container_id = std::move(owner);
    }
    const auto deadline = std::chrono::steady_clock::now() + conf.limits.release;
    MANUL_TRY(PendingAnswer pending, PendingAnswer::ask(question, conf, conf.limits.connect));
    MANUL_TRY(const ipam::Answer known, pending.receive());
    MANUL_TRY(bool exists, veth.pod_has(add.attachment.ifname));  // the DEL may be over by now
    while (exists && known.ending && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(kLookAgain);
        MANUL_TRY(exists, veth.pod_has(add.attachment.ifname));
    }
    if (exists) {
        return refuse(Code::invalid_environment, "CNI_IFNAME: " + add.attachment.ifname + " exists already in the pod");
    }
    return {};
}

/// One ADD: its steps, and what must be undone when a later one fails.
class Add {
public:
    Add(const Environment& environment, const NetConf& conf, ipam::Request request, Veth veth)
        : environment_(environment), conf_(conf), request_(std::move(request)), veth_(std::move(veth)) {}

    CniResult<AddResult> run(std::string& note) {
        auto result = attach(note);
        if (!result) {
            undo(note);
        }
        return result;
    }

private:
    CniResult<AddResult> attach(std::string& note) {
        MANUL_TRY(PendingAnswer pending, PendingAnswer::ask(request_, conf_, conf_.limits.connect));
        may_be_reserved_ = true;
        const ReadyWait ready(conf_.run_dir, request_.host_interface);  // before it looks for the mark
        // While ipamd commits. A name that is taken belongs to an older sandbox, and ipamd renames that link aside.
        const VethNames names{request_.host_interface,   environment_.ifname,      *request_.mac, conf_.mtu,
                              environment_.container_id, conf_.allow_ip_forwarding};
        auto made = veth_.make(names);
        MANUL_TRY(ipam::Answer answer, pending.receive());
        if (answer.error) {
            may_be_reserved_ = false;
            return refused_by_ipamd(*std::move(answer.error));
        }
        note = std::move(answer.warning);
        if (!made || *made == Veth::Made::host_name_taken) {
            MANUL_CHECK(make_again(names, made));
        }
        const PodNetwork network = network_of(answer);
        MANUL_CHECK(configure(names, network));
        MANUL_CHECK(
            ready.wait_for_policy({environment_.container_id, veth_.host_index(), answer.ips}, conf_.policy_timeout));
        return result_of(network);
    }

    /// What stood in the way of the first attempt is gone when ipamd answers: it has put an older sandbox's link aside,
    /// and carried out a DEL of this container id. That DEL takes a pair made too early for the old one, since the two
    /// have the same name and alias, at any moment of its making.
    CniResult<void> make_again(const VethNames& names, const CniResult<Veth::Made>& before) {
        MANUL_TRY(const bool there, veth_.pod_has(names.pod_name));
        if (there && !before) {
            // Not ours: an ADD of this very attachment runs beside this one, and the addresses are that one's.
            may_be_reserved_ = may_be_reserved_ && veth_.host_index() != 0;
            return std::unexpected(before.error());
        }
        MANUL_TRY(const Veth::Made made, veth_.make(names));
        if (made == Veth::Made::host_name_taken) {
            return refuse(Code::try_again, "host interface " + names.host_name + " exists and is somebody else's");
        }
        return {};
    }

    CniResult<void> configure(const VethNames& names, const PodNetwork& network) {
        auto configured = veth_.configure(network);
        if (configured) {
            return {};
        }
        MANUL_CHECK(make_again(names, std::unexpected(configured.error())));
        return veth_.configure(network);
    }

    [[nodiscard]] PodNetwork network_of(const ipam::Answer& answer) const {
        PodNetwork out{answer.ips, answer.routes, conf_.mtu == 0 ? answer.mtu : 0, answer.mac};
        std::set<net::Family> without_routes;
        for (const net::Ip& ip : answer.ips) {
            without_routes.insert(ip.family());
        }
        for (const net::Prefix& route : answer.routes) {
            without_routes.erase(route.family());
        }
        for (const net::Family family : without_routes) {
            out.routes.push_back(default_route(family));
        }
        return out;
    }

    [[nodiscard]] AddResult result_of(const PodNetwork& network) const {
        AddResult out{.host_name = request_.host_interface,
                      .host_mac = kHostMac,
                      .pod_name = environment_.ifname,
                      .pod_mac = veth_.pod_mac(),
                      .sandbox = environment_.netns,
                      .mtu = veth_.mtu(),
                      .ips = network.ips,
                      .routes = {},
                      .dns = conf_.dns};
        for (const net::Prefix& route : network.routes) {
            out.routes.push_back({route, gateway_of(route.family())});
        }
        return out;
    }

    /// The link first: an address must not be given out again while a pod still has it.
    void undo(std::string& note) {
        veth_.remove();
        if (may_be_reserved_) {
            request_.op = ipam::Op::del;
            if (const auto released = release(request_, conf_, note); !released) {
                note = released.error().msg;  // ipamd frees it when the interface has been gone for a while
            }
        }
    }

    const Environment& environment_;
    const NetConf& conf_;
    ipam::Request request_;
    Veth veth_;
    bool may_be_reserved_ = false;
};

}  // namespace

CniResult<AddResult> add(const Environment& environment, const NetConf& conf, std::string& note) {
    MANUL_TRY(ipam::Request request, make_request(ipam::Op::add, environment, conf));
    MANUL_TRY(Veth veth, Veth::open(environment.netns, environment.netns_override));
    // Before ipamd hears of it: a second ADD of one attachment must not touch what the first one made.
    MANUL_TRY(const bool exists, veth.pod_has(environment.ifname));
    if (exists) {
        MANUL_CHECK(wait_for_del(veth, request, conf));
    }
    request.netns_inode = veth.netns_inode();
    if (!request.mac) {
        request.mac = random_mac();
    }
    return Add(environment, conf, std::move(request), std::move(veth)).run(note);
}

}  // namespace manul::cni
