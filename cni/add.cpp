#include "cni/add.hpp"

#include <sys/random.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <set>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "cni/del.hpp"
#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "cni/ready_wait.hpp"
#include "cni/result.hpp"
#include "cni/veth.hpp"
#include "ipam/client.hpp"
#include "ipam/protocol.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

namespace manul::cni {

namespace {

using Clock = std::chrono::steady_clock;

/// Locally administered, unicast.
net::Mac random_mac() {
    std::array<std::uint8_t, 6> bytes{};
    (void)::getrandom(bytes.data(), bytes.size(), 0);
    bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0xfcU) | 0x02U);
    return net::Mac(bytes);
}

CniError of_client(const ipam::ClientError& error) {
    return {static_cast<std::uint16_t>(Code::try_again), error.message,
            "is manul-ipamd running on this node, and its run_dir that of the network configuration?"};
}

CniError of_answer(ipam::Failure failure) { return {failure.code, std::move(failure.msg), std::move(failure.details)}; }

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
        const auto start = Clock::now();
        const ReadyWait ready(conf_.run_dir, request_.host_interface);  // before the endpoint exists
        auto client = ipam::Client::connect(conf_.run_dir + "/cni.sock", start + conf_.limits.connect,
                                            start + conf_.limits.answer);
        if (!client) {
            return std::unexpected(of_client(client.error()));
        }
        if (auto sent = client->send(request_); !sent) {
            return std::unexpected(of_client(sent.error()));
        }
        may_be_reserved_ = true;
        // While ipamd commits. A name that is taken belongs to an older sandbox, and ipamd renames that link aside.
        const VethNames names{request_.host_interface, environment_.ifname, *request_.mac, conf_.mtu,
                              environment_.container_id};
        auto made = veth_.make(names);
        auto answer = client->receive();
        if (!answer) {
            return std::unexpected(of_client(answer.error()));
        }
        if (answer->error) {
            may_be_reserved_ = false;
            return std::unexpected(of_answer(*std::move(answer->error)));
        }
        note = answer->warning;
        if (made && *made == Veth::Made::host_name_taken) {
            made = veth_.make(names);
        }
        if (!made) {
            return std::unexpected(std::move(made).error());
        }
        if (*made == Veth::Made::host_name_taken) {
            return refuse(Code::try_again, "host interface " + names.host_name + " exists and is somebody else's");
        }
        const PodNetwork network = network_of(*answer);
        MANUL_CHECK(veth_.configure(network));
        if (conf_.policy_timeout.count() != 0 &&
            !ready.wait(environment_.container_id, Clock::now() + conf_.policy_timeout)) {
            return refuse(Code::try_again,
                          "policy for " + names.host_name + " was not in force within " +
                              std::to_string(conf_.policy_timeout.count()) + " s",
                          "is manul-felix running on this node? policy_setup_timeout_seconds sets the bound");
        }
        return result_of(network, answer->mtu);
    }

    [[nodiscard]] PodNetwork network_of(const ipam::Answer& answer) const {
        PodNetwork out{answer.ips, answer.routes, conf_.mtu == 0 ? answer.mtu : 0, conf_.allow_ip_forwarding};
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

    [[nodiscard]] AddResult result_of(const PodNetwork& network, std::uint32_t mtu) const {
        AddResult out{.host_name = request_.host_interface,
                      .host_mac = kHostMac,
                      .pod_name = environment_.ifname,
                      .pod_mac = *request_.mac,
                      .sandbox = environment_.netns,
                      .mtu = conf_.mtu == 0 ? mtu : conf_.mtu,
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
    MANUL_CHECK(check_attachment(environment, true));
    MANUL_TRY(ipam::Request request, make_request(ipam::Op::add, environment, conf));
    MANUL_TRY(Veth veth, Veth::open(environment.netns, environment.netns_override));
    // Before ipamd hears of it: a second ADD of one attachment must not touch what the first one made.
    MANUL_TRY(const auto existing, veth.pod_link(environment.ifname));
    if (existing) {
        return refuse(Code::invalid_environment, "CNI_IFNAME: " + environment.ifname + " exists already in the pod");
    }
    request.netns_inode = veth.netns_inode();
    if (!request.mac) {
        request.mac = random_mac();
    }
    return Add(environment, conf, std::move(request), std::move(veth)).run(note);
}

}  // namespace manul::cni
