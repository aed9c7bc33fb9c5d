#include "felix/io/shaper.hpp"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/sha256.hpp"
#include "base/try.hpp"
#include "felix/io/messages.hpp"
#include "felix/nft/wire.hpp"

namespace manul::felix::io {

namespace {

using netlink::find_payload;
using netlink::RequestBuffer;

constexpr const char* kTable = "manul_shape";
constexpr std::uint32_t kHandle = 0x6d61'0000;          // of buckets that are ours
constexpr std::uint64_t kDefaultBurst = 4'294'967'296;  // bits; Calico's
constexpr std::uint64_t kLongestWait = 40;              // packets wait at most 1/40 s in the queue
constexpr std::uint32_t kEthernetHeader = 64;           // with room for what a link may add

tcmsg of_root(std::uint32_t index) {
    tcmsg message{};
    message.tcm_family = AF_UNSPEC;
    message.tcm_ifindex = static_cast<int>(index);
    message.tcm_handle = kHandle;
    message.tcm_parent = TC_H_ROOT;
    return message;
}

std::uint32_t clamp32(std::uint64_t value) {
    return static_cast<std::uint32_t>(std::min(value, std::uint64_t{std::numeric_limits<std::uint32_t>::max()}));
}

void put_u64(RequestBuffer& out, std::uint16_t type, std::uint64_t value) {
    std::array<std::uint8_t, sizeof(value)> bytes{};
    std::memcpy(bytes.data(), &value, sizeof(value));
    out.bytes(type, bytes);
}

/// Bytes/s, of which the kernel gives the lower half apart.
std::uint64_t rate_of(ByteView options, std::uint16_t wide_type, const tc_ratespec& narrow) {
    std::uint64_t rate = narrow.rate;
    if (const ByteView wide = find_payload(options, wide_type); wide.size() == sizeof(rate)) {
        std::memcpy(&rate, wide.data(), sizeof(rate));
    }
    return rate;
}

/// The kernel tells a burst as the time that it takes, in ticks of 64 ns and rounded.
bool is_time_of(std::uint32_t ticks, std::uint32_t bytes, std::uint64_t rate) {
    constexpr std::uint64_t kTicksPerSecond = 15'625'000;
    const std::uint64_t exact = bytes * kTicksPerSecond / rate;
    const std::uint64_t rounding = exact / 1000 + 1;
    return ticks + rounding >= exact && ticks <= exact + rounding;
}

/// A batch of nf_tables messages, all or nothing, with one answer.
class NftBatch {
public:
    explicit NftBatch(RequestBuffer& out) : out_(out) {
        out_.clear();
        begin(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, htons(NFNL_SUBSYS_NFTABLES));
        out_.end();
    }
    void message(std::uint16_t kind, std::uint16_t flags) {
        begin(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | kind), flags, NFPROTO_NETDEV, 0);
    }
    void finish() {
        begin(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, htons(NFNL_SUBSYS_NFTABLES));
        out_.end();
    }

private:
    void begin(std::uint16_t type, std::uint16_t flags, std::uint8_t family, std::uint16_t resource) {
        out_.begin(type, static_cast<std::uint16_t>(NLM_F_REQUEST | flags), nfgenmsg{family, NFNETLINK_V0, resource});
    }
    RequestBuffer& out_;
};

std::string_view text_of(ByteView bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text.substr(0, text.find('\0'));
}

}  // namespace

Result<Shaper> Shaper::open() {
    auto routes = netlink::Socket::open();
    if (!routes) {
        return fail(routes.error().message());
    }
    UniqueFd nft(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    if (!nft) {
        return fail(std::string("cannot open an nf_tables socket: ") + std::strerror(errno));
    }
    return Shaper(*std::move(routes), std::move(nft));
}

void Shaper::want(const std::string& interface, const TrafficLimits& to_workload, const TrafficLimits& from_workload) {
    const bool limited = to_workload.bandwidth || from_workload.bandwidth;
    const auto known = wishes_.find(interface);
    if (known == wishes_.end() && !limited) {
        return;
    }
    Wish& wish = wishes_[interface];
    if (wish.to_workload != to_workload || wish.from_workload != from_workload) {
        wish.to_workload = to_workload;
        wish.from_workload = from_workload;
        dirty_.insert(interface);
    }
}

void Shaper::forget(const std::string& interface) { want(interface, {}, {}); }

void Shaper::link_changed(const std::string& interface) {
    if (wishes_.contains(interface)) {
        dirty_.insert(interface);
    }
}

std::optional<Shaper::Bucket> Shaper::bucket_of(const TrafficLimits& limits, std::uint32_t mtu) {
    if (!limits.bandwidth) {
        return std::nullopt;
    }
    Bucket bucket;
    bucket.rate = std::max<std::uint64_t>(*limits.bandwidth / 8, 1);
    // A bucket that no packet fits in would let nothing pass.
    const std::uint32_t packet = mtu + kEthernetHeader;
    bucket.burst = std::max(clamp32(limits.burst.value_or(kDefaultBurst) / 8), packet);
    if (limits.peak_rate && *limits.peak_rate / 8 > bucket.rate) {
        bucket.peak = *limits.peak_rate / 8;
        bucket.peak_burst = std::max(clamp32(limits.min_burst.value_or(0)), packet);
    }
    return bucket;
}

std::uint32_t Shaper::limit_of(const Bucket& bucket) { return clamp32(bucket.rate / kLongestWait + bucket.burst); }

std::string Shaper::ifb_name(std::string_view interface) { return "mifb" + sha256_hex(interface).substr(0, 11); }

// --- programming ----------------------------------------------------------------------------------------------------

void Shaper::program(const FindLink& find_link, const std::set<std::string>& workloads) {
    if (!std::exchange(swept_, true)) {
        sweep(find_link, workloads);
    }
    for (const std::string& interface : std::exchange(dirty_, {})) {
        const auto wish = wishes_.find(interface);
        if (wish == wishes_.end()) {
            continue;
        }
        const netlink::Link* link = find_link(interface);
        const bool limited = wish->second.to_workload.bandwidth || wish->second.from_workload.bandwidth;
        if (link == nullptr || !limited) {
            if (wish->second.to) {
                remove_bucket(wish->second.index);  // the link may be there, under another name
            }
            if (wish->second.from) {
                remove_redirect(interface);
                remove_ifb(ifb_name(interface));
            }
            wish->second.index = 0;
            wish->second.to = wish->second.from = std::nullopt;
            if (!limited) {
                wishes_.erase(wish);
                reported_.erase(interface);
            }
            continue;
        }
        if (const auto done = put(interface, *link, wish->second); done) {
            reported_.erase(interface);
        } else if (std::string& reported = reported_[interface]; reported != done.error().message) {
            reported = done.error().message;
            log::emit(kShapingFailed, interface, reported);
        }
    }
}

Result<void> Shaper::put(const std::string& interface, const netlink::Link& link, Wish& wish) {
    const auto to = bucket_of(wish.to_workload, link.mtu);
    const auto from = bucket_of(wish.from_workload, link.mtu);
    const std::uint32_t before = std::exchange(wish.index, link.index);
    if (wish.to && (!to || before != link.index)) {
        remove_bucket(before);
    }
    if (to) {
        wish.to = std::nullopt;
        if (!has_bucket(link.index, to)) {  // writing it again would fill it up
            MANUL_CHECK(put_bucket(link.index, *to));
        }
    }
    wish.to = to;
    const std::string ifb = ifb_name(interface);
    if (from) {
        wish.from = from;  // also when only a part of it comes about: it is to be removed
        MANUL_TRY(const std::uint32_t index, put_ifb(ifb));
        if (!has_bucket(index, from)) {
            MANUL_CHECK(put_bucket(index, *from));
        }
        MANUL_CHECK(put_redirect(interface, index));
    } else if (std::exchange(wish.from, std::nullopt)) {
        remove_redirect(interface);
        remove_ifb(ifb);
    }
    return {};
}

void Shaper::check() {
    for (auto& [interface, wish] : wishes_) {
        if (wish.index == 0 || dirty_.contains(interface)) {
            continue;
        }
        const bool good = holds(interface, wish.index, wish.to, wish.from);
        if (!good) {
            log::emit(kShapingRepaired, interface);
            dirty_.insert(interface);
        }
    }
}

/// Whether the kernel has these buckets, and the way to the second.
bool Shaper::holds(const std::string& interface, std::uint32_t index, const std::optional<Bucket>& to,
                   const std::optional<Bucket>& from) {
    if (to && !has_bucket(index, to)) {
        return false;
    }
    if (!from) {
        return true;
    }
    const auto ifb = routes_.link(ifb_name(interface));
    return ifb && *ifb && (*ifb)->is_up() && has_bucket((*ifb)->index, from) && has_redirect(interface);
}

std::vector<std::string> Shaper::differences(const FindLink& find_link, const std::set<std::string>& workloads) {
    std::vector<std::string> out;
    std::set<std::string> leading;
    for (std::string& interface : redirected()) {
        leading.insert(std::move(interface));
    }
    for (const std::string& interface : workloads) {
        const netlink::Link* link = find_link(interface);
        const auto wish = wishes_.find(interface);
        if (link == nullptr) {
            continue;
        }
        std::optional<Bucket> to;
        std::optional<Bucket> from;
        if (wish != wishes_.end()) {
            to = bucket_of(wish->second.to_workload, link->mtu);
            from = bucket_of(wish->second.from_workload, link->mtu);
        }
        if (!holds(interface, link->index, to, from) || (!to && has_bucket(link->index, std::nullopt)) ||
            (!from && leading.contains(interface))) {
            out.push_back(interface);
        }
    }
    return out;
}

/// What an earlier process left for workloads that have no limits any more. What they still have stays in force until
/// it is written anew, in one step.
void Shaper::sweep(const FindLink& find_link, const std::set<std::string>& workloads) {
    for (const std::string& interface : redirected()) {
        const auto wish = wishes_.find(interface);
        if (wish == wishes_.end() || !wish->second.from_workload.bandwidth) {
            remove_redirect(interface);
        }
    }
    if (wishes_.empty()) {
        remove_table();
    }
    const auto links = routes_.links();
    if (!links) {
        return;
    }
    std::set<std::string> wanted;
    for (const auto& [interface, wish] : wishes_) {
        wanted.insert(ifb_name(interface));
    }
    for (const netlink::Link& link : *links) {
        if (link.name.starts_with("mifb") && link.name.size() == IFNAMSIZ - 1 && !wanted.contains(link.name)) {
            remove_ifb(link.name);
        }
    }
    for (const std::string& interface : workloads) {
        const netlink::Link* link = find_link(interface);
        if (link != nullptr && !wishes_.contains(interface) && has_bucket(link->index, std::nullopt)) {
            remove_bucket(link->index);
        }
    }
}

// --- buckets --------------------------------------------------------------------------------------------------------

Result<void> Shaper::put_bucket(std::uint32_t index, const Bucket& bucket) {
    tc_tbf_qopt options{};
    options.rate.linklayer = TC_LINKLAYER_ETHERNET;
    options.rate.rate = clamp32(bucket.rate);
    options.peakrate.linklayer = TC_LINKLAYER_ETHERNET;
    options.peakrate.rate = clamp32(bucket.peak);
    options.limit = limit_of(bucket);
    RequestBuffer request;
    request.begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, of_root(index));
    request.text(TCA_KIND, "tbf");
    const auto nest = request.open(TCA_OPTIONS);
    std::array<std::uint8_t, sizeof(options)> bytes{};
    std::memcpy(bytes.data(), &options, sizeof(options));
    request.bytes(TCA_TBF_PARMS, bytes);
    request.u32(TCA_TBF_BURST, bucket.burst);
    put_u64(request, TCA_TBF_RATE64, bucket.rate);
    if (bucket.peak != 0) {
        request.u32(TCA_TBF_PBURST, bucket.peak_burst);
        put_u64(request, TCA_TBF_PRATE64, bucket.peak);
    }
    request.close(nest);
    request.end();
    if (const auto done = routes_.request(request); !done) {
        return fail("no token bucket (sch_tbf): " + done.error().message());
    }
    return {};
}

void Shaper::remove_bucket(std::uint32_t index) {
    RequestBuffer request;
    request.begin(RTM_DELQDISC, 0, of_root(index));
    request.end();
    (void)routes_.request(request);  // gone with the link, or by somebody else
}

/// Whether the link has a bucket of ours, and the wanted one where one is given.
bool Shaper::has_bucket(std::uint32_t index, const std::optional<Bucket>& wanted) {
    RequestBuffer request;
    tcmsg question = of_root(index);
    question.tcm_handle = 0;
    request.begin(RTM_GETQDISC, NLM_F_ECHO, question);
    request.end();
    bool found = false;
    const auto asked = routes_.request(request, [&](const netlink::MessageView& message) {
        tcmsg head{};
        if (message.type != RTM_NEWQDISC || message.payload.size() < sizeof(head)) {
            return;
        }
        std::memcpy(&head, message.payload.data(), sizeof(head));
        const ByteView attributes = message.payload.subspan(sizeof(head));
        const ByteView options = find_payload(attributes, TCA_OPTIONS);
        const ByteView parameters = find_payload(options, TCA_TBF_PARMS);
        if (head.tcm_handle != kHandle || parameters.size() < sizeof(tc_tbf_qopt)) {
            return;
        }
        tc_tbf_qopt held{};
        std::memcpy(&held, parameters.data(), sizeof(held));
        found = !wanted ||
                (rate_of(options, TCA_TBF_RATE64, held.rate) == wanted->rate && held.limit == limit_of(*wanted) &&
                 rate_of(options, TCA_TBF_PRATE64, held.peakrate) == wanted->peak &&
                 (wanted->peak == 0 || is_time_of(held.mtu, wanted->peak_burst, wanted->peak)));
    });
    return asked && found;
}

// --- from workloads -------------------------------------------------------------------------------------------------

Result<std::uint32_t> Shaper::put_ifb(const std::string& name) {
    RequestBuffer request;
    ifinfomsg fixed{};
    fixed.ifi_flags = IFF_UP;
    fixed.ifi_change = IFF_UP;
    request.begin(RTM_NEWLINK, NLM_F_CREATE, fixed);
    request.text(IFLA_IFNAME, name);
    const auto info = request.open(IFLA_LINKINFO);
    request.text(IFLA_INFO_KIND, "ifb");
    request.close(info);
    request.end();
    if (const auto made = routes_.request(request); !made) {
        return fail("no ifb device for what the workload sends: " + made.error().message());
    }
    const auto link = routes_.link(name);
    if (!link || !*link) {
        return fail("ifb device " + name + " vanished");
    }
    return (*link)->index;
}

void Shaper::remove_ifb(const std::string& name) {
    const auto link = routes_.link(name);
    if (link && *link) {
        RequestBuffer request;
        netlink::delete_link(request, (*link)->index);
        (void)routes_.request(request);
    }
}

Result<void> Shaper::put_redirect(const std::string& interface, std::uint32_t ifb) {
    RequestBuffer out;
    NftBatch batch(out);
    batch.message(NFT_MSG_NEWTABLE, NLM_F_CREATE);
    out.text(NFTA_TABLE_NAME, kTable);
    out.end();
    batch.message(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    out.text(NFTA_CHAIN_TABLE, kTable);
    out.text(NFTA_CHAIN_NAME, interface);
    const auto hook = out.open(NFTA_CHAIN_HOOK);
    nft::put_u32(out, NFTA_HOOK_HOOKNUM, NF_NETDEV_INGRESS);
    nft::put_u32(out, NFTA_HOOK_PRIORITY, 0);
    out.text(NFTA_HOOK_DEV, interface);
    out.close(hook);
    nft::put_u32(out, NFTA_CHAIN_POLICY, NF_ACCEPT);
    out.text(NFTA_CHAIN_TYPE, "filter");
    out.end();
    batch.message(NFT_MSG_DELRULE, 0);
    out.text(NFTA_RULE_TABLE, kTable);
    out.text(NFTA_RULE_CHAIN, interface);
    out.end();
    batch.message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK);
    out.text(NFTA_RULE_TABLE, kTable);
    out.text(NFTA_RULE_CHAIN, interface);
    const auto expressions = out.open(NFTA_RULE_EXPRESSIONS);
    const auto expression = [&out](std::string_view name, const auto& write) {
        const auto element = out.open(NFTA_LIST_ELEM);
        out.text(NFTA_EXPR_NAME, name);
        const auto data = out.open(NFTA_EXPR_DATA);
        write();
        out.close(data);
        out.close(element);
    };
    expression("immediate", [&] {
        nft::put_u32(out, NFTA_IMMEDIATE_DREG, NFT_REG_1);
        std::array<std::uint8_t, sizeof(ifb)> index{};
        std::memcpy(index.data(), &ifb, sizeof(ifb));
        nft::put_value(out, NFTA_IMMEDIATE_DATA, index);
    });
    expression("fwd", [&] { nft::put_u32(out, NFTA_FWD_SREG_DEV, NFT_REG_1); });
    out.close(expressions);
    out.end();
    batch.finish();
    if (const int error = send_batch(out); error != 0) {
        return fail(std::string("what the workload sends cannot be led through a bucket (nft fwd): ") +
                    std::strerror(error));
    }
    return {};
}

void Shaper::remove_redirect(const std::string& interface) {
    RequestBuffer out;
    NftBatch batch(out);
    batch.message(NFT_MSG_DELRULE, 0);
    out.text(NFTA_RULE_TABLE, kTable);
    out.text(NFTA_RULE_CHAIN, interface);
    out.end();
    batch.message(NFT_MSG_DELCHAIN, NLM_F_ACK);
    out.text(NFTA_CHAIN_TABLE, kTable);
    out.text(NFTA_CHAIN_NAME, interface);
    out.end();
    batch.finish();
    (void)send_batch(out);  // it may have gone with its link
}

void Shaper::remove_table() {
    RequestBuffer out;
    NftBatch batch(out);
    batch.message(NFT_MSG_DELTABLE, NLM_F_ACK);
    out.text(NFTA_TABLE_NAME, kTable);
    out.end();
    batch.finish();
    (void)send_batch(out);  // mostly there is none
}

bool Shaper::has_redirect(const std::string& interface) {
    RequestBuffer out;
    out.begin(NFNL_SUBSYS_NFTABLES << 8U | NFT_MSG_GETRULE, NLM_F_REQUEST | NLM_F_DUMP,
              nfgenmsg{NFPROTO_NETDEV, NFNETLINK_V0, 0});
    out.text(NFTA_RULE_TABLE, kTable);
    out.text(NFTA_RULE_CHAIN, interface);
    out.end();
    std::size_t rules = 0;
    const bool complete = dump(out, NFT_MSG_NEWRULE, [&rules](ByteView /*attributes*/) { ++rules; });
    return !complete || rules == 1;
}

/// Links whose packets the table leads elsewhere.
std::vector<std::string> Shaper::redirected() {
    RequestBuffer out;
    out.begin(NFNL_SUBSYS_NFTABLES << 8U | NFT_MSG_GETCHAIN, NLM_F_REQUEST | NLM_F_DUMP,
              nfgenmsg{NFPROTO_NETDEV, NFNETLINK_V0, 0});
    out.end();
    std::vector<std::string> names;
    (void)dump(out, NFT_MSG_NEWCHAIN, [&names](ByteView attributes) {
        if (text_of(find_payload(attributes, NFTA_CHAIN_TABLE)) == kTable) {
            names.emplace_back(text_of(find_payload(attributes, NFTA_CHAIN_NAME)));
        }
    });
    return names;
}

/// Asks for a list and hands on the attributes of each message of this kind; false: the kernel was not asked.
bool Shaper::dump(RequestBuffer& question, std::uint16_t kind, const std::function<void(ByteView)>& on_item) {
    if (::send(nft_.get(), question.view().data(), question.view().size(), 0) < 0) {
        return false;
    }
    std::vector<std::uint8_t> buffer(std::size_t{32} << 10U);
    for (;;) {
        const ssize_t size = ::recv(nft_.get(), buffer.data(), buffer.size(), 0);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            return true;
        }
        netlink::MessageWalk walk(ByteView(buffer).first(static_cast<std::size_t>(size)));
        while (const auto message = walk.next()) {
            if (message->type == NLMSG_DONE || message->type == NLMSG_ERROR) {
                return true;
            }
            if (message->type == (NFNL_SUBSYS_NFTABLES << 8U | kind) && message->payload.size() >= sizeof(nfgenmsg)) {
                on_item(message->payload.subspan(sizeof(nfgenmsg)));
            }
        }
    }
}

/// The kernel works inside send(), so that all answers are there when it returns.
int Shaper::send_batch(RequestBuffer& batch) {
    if (::send(nft_.get(), batch.view().data(), batch.view().size(), 0) < 0) {
        return errno;
    }
    int first = 0;
    std::array<std::uint8_t, 8192> buffer{};
    for (;;) {
        const ssize_t size = ::recv(nft_.get(), buffer.data(), buffer.size(), 0);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            return first;
        }
        netlink::MessageWalk walk(ByteView(buffer).first(static_cast<std::size_t>(size)));
        while (const auto message = walk.next()) {
            nlmsgerr answer{};
            if (message->type == NLMSG_ERROR && message->payload.size() >= sizeof(answer.error)) {
                std::memcpy(&answer.error, message->payload.data(), sizeof(answer.error));
                first = first == 0 ? -answer.error : first;
            }
        }
    }
}

}  // namespace manul::felix::io
