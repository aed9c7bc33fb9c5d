#include "felix/io/nft_apply.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::io {

namespace {

constexpr std::size_t kReceiveSize = std::size_t{64} << 10U;
constexpr int kReceiveRoom = 8 << 20U;
constexpr int kMonitorRoom = 8 << 20U;
constexpr int kDumpAttempts = 10;
constexpr int kAnswerTimeoutMs = 10'000;

Result<UniqueFd> open_socket(int receive_room) {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!fd) {
        return fail(fmt::format("cannot open a netfilter netlink socket: {}", std::strerror(errno)));
    }
    const int on = 1;
    (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_room, sizeof(receive_room));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return fail(fmt::format("cannot bind a netfilter netlink socket: {}", std::strerror(errno)));
    }
    return fd;
}

/// Bytes of one datagram; nothing when none is there (EAGAIN), an errno value otherwise.
std::expected<std::optional<std::size_t>, int> receive_now(int fd, std::vector<std::uint8_t>& buffer) {
    for (;;) {
        const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (count >= 0) {
            return static_cast<std::size_t>(count);
        }
        if (errno == EAGAIN) {
            return std::nullopt;
        }
        if (errno != EINTR) {
            return std::unexpected(errno);
        }
    }
}

}  // namespace

NftSocket::NftSocket(UniqueFd fd) : fd_(std::move(fd)), buffer_(kReceiveSize) {}

Result<NftSocket> NftSocket::open() {
    MANUL_TRY(UniqueFd fd, open_socket(kReceiveRoom));
    return NftSocket(std::move(fd));
}

Result<NftSocket> NftSocket::open_owner() {
    MANUL_TRY(NftSocket socket, open());
    const nft::Batch probe = nft::encode_owner_probe();
    CommitResult result;
    MANUL_CHECK(socket.send(probe.buffer.view()));
    socket.collect(probe, {}, result);
    socket.own_tables_ = result.outcome == CommitResult::Outcome::done;
    return socket;
}

/// A transaction must go out in one call, and the default buffer ends at about 200 KiB.
void NftSocket::make_room(std::size_t bytes) {
    const std::size_t wanted = bytes + bytes / 2 + (std::size_t{64} << 10U);
    if (wanted <= send_room_) {
        return;
    }
    const int room = static_cast<int>(std::min(wanted, std::size_t{1} << 30U));
    if (::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) == 0) {
        send_room_ = wanted;
    }
}

Result<void> NftSocket::send(std::span<const std::uint8_t> bytes) {
    make_room(bytes.size());
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    for (;;) {
        const ssize_t sent = ::sendto(fd_.get(), bytes.data(), bytes.size(), 0,
                                      reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel));
        if (sent >= 0) {
            return {};
        }
        if (errno != EINTR) {
            return fail(fmt::format("cannot send {} bytes to nf_tables: {}", bytes.size(), std::strerror(errno)));
        }
    }
}

Result<std::span<const std::uint8_t>> NftSocket::receive() {
    pollfd waiting{fd_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kAnswerTimeoutMs) == 0) {
        return fail("nf_tables did not answer in time");
    }
    const auto count = receive_now(fd_.get(), buffer_);
    if (!count) {
        return fail(fmt::format("cannot read from nf_tables: {}", std::strerror(count.error())));
    }
    return std::span<const std::uint8_t>(buffer_).first(count->value_or(0));
}

// --- commit ---------------------------------------------------------------------------------------------------------

CommitResult NftSocket::commit(const nft::Transaction& transaction, std::optional<std::uint32_t> generation) {
    CommitResult result;
    while (receive_now(fd_.get(), buffer_).value_or(std::nullopt)) {  // leftovers of a request that timed out
    }
    const nft::Batch batch = nft::encode(transaction, generation, own_tables_);
    result.bytes = batch.buffer.view().size();
    if (const auto sent = send(batch.buffer.view()); !sent) {
        result.outcome = CommitResult::Outcome::refused;
        result.error = ENOBUFS;
        result.problems.push_back(sent.error().message);
        return result;
    }
    collect(batch, transaction, result);
    return result;
}

void NftSocket::collect(const nft::Batch& batch, const nft::Transaction& transaction, CommitResult& result) {
    bool acknowledged = false;
    bool lost = false;
    bool stale = false;
    std::unordered_map<std::uint32_t, std::uint64_t> handles;  // by sequence number
    for (;;) {
        const auto count = receive_now(fd_.get(), buffer_);
        if (!count) {
            lost = true;  // ENOBUFS: answers did not fit, which says nothing about the commit
            continue;
        }
        if (!*count) {
            break;
        }
        netlink::MessageWalk walk(std::span<const std::uint8_t>(buffer_).first(**count));
        while (const auto message = walk.next()) {
            const auto ack = message->type == NLMSG_ERROR ? netlink::decode_ack(*message) : std::nullopt;
            if (!ack) {
                if (const auto rule = nft::decode_rule(*message)) {
                    handles[message->sequence] = rule->handle;
                }
                continue;
            }
            if (ack->code == 0) {
                acknowledged = acknowledged || message->sequence == batch.acknowledged;
                continue;
            }
            stale = stale || ack->code == ERESTART;
            const std::size_t command = message->sequence < batch.command_of.size()
                                            ? batch.command_of[message->sequence]
                                            : nft::Batch::kNoCommand;
            if (result.error == 0) {
                result.error = ack->code;
                result.command = command < transaction.size() ? std::optional(command) : std::nullopt;
            }
            const std::string what =
                command < transaction.size() ? nft::describe(transaction[command]) : std::string("commit");
            result.problems.push_back(fmt::format("cannot {}: {}{}{}", what, std::strerror(ack->code),
                                                  ack->text.empty() ? "" : ": ", ack->text));
        }
    }
    if (!result.problems.empty()) {
        result.outcome = stale ? CommitResult::Outcome::stale : CommitResult::Outcome::refused;
    } else {
        result.outcome = acknowledged && !lost ? CommitResult::Outcome::done : CommitResult::Outcome::unknown;
        result.rules = nft::number_rules(batch, handles);
    }
}

// --- reading back ---------------------------------------------------------------------------------------------------

template <class OnMessage>
Result<bool> NftSocket::dump(nft::DumpKind kind, const render::TableKey& table, const std::string& object,
                             OnMessage on_message) {
    netlink::RequestBuffer request;
    nft::request_dump(request, kind, table, object);
    return dump(request, on_message);
}

template <class OnMessage>
Result<bool> NftSocket::dump(const netlink::RequestBuffer& request, OnMessage on_message) {
    MANUL_CHECK(send(request.view()));
    bool consistent = true;
    for (;;) {
        MANUL_TRY(const auto bytes, receive());
        netlink::MessageWalk walk(bytes);
        while (const auto message = walk.next()) {
            consistent = consistent && (message->flags & NLM_F_DUMP_INTR) == 0;
            if (message->type == NLMSG_DONE) {
                return consistent;
            }
            if (message->type == NLMSG_ERROR) {
                const auto ack = netlink::decode_ack(*message);
                if (ack && ack->code == ENOENT) {
                    return false;  // the table went away meanwhile
                }
                return fail(
                    fmt::format("nf_tables refused a dump: {}", ack ? std::strerror(ack->code) : "damaged answer"));
            }
            if constexpr (std::is_same_v<std::invoke_result_t<OnMessage, const netlink::MessageView&>, bool>) {
                if (!on_message(*message)) {
                    return false;
                }
            } else {
                on_message(*message);
            }
        }
    }
}

Result<bool> NftSocket::read_once(Snapshot& snapshot) {
    snapshot = {};
    MANUL_TRY(snapshot.generation, generation());
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        std::vector<render::TableKey> tables;
        MANUL_TRY(bool consistent, dump(nft::DumpKind::tables, {family, {}}, {}, [&](const auto& message) {
                      if (const auto table = nft::decode_table(message)) {
                          tables.push_back(*table);
                          snapshot.state[*table].orphan = own_tables_ && nft::decode_orphan(message);
                      }
                  }));
        const auto decode = [&](const auto& message) { nft::decode_object(message, snapshot.state); };
        for (const render::TableKey& table : tables) {
            for (const auto kind : {nft::DumpKind::chains, nft::DumpKind::rules, nft::DumpKind::sets}) {
                const bool once = kind != nft::DumpKind::chains || table == tables.front();
                if (once) {  // the kernel lists the chains of all tables of a family
                    MANUL_TRY(const bool good, dump(kind, table, {}, decode));
                    consistent = consistent && good;
                }
            }
            for (const auto& [set, content] : snapshot.state[table].sets) {
                if (content.shape == nft::SetType::Shape::verdicts) {
                    MANUL_TRY(const bool good, dump(nft::DumpKind::elements, table, set, decode));
                    consistent = consistent && good;
                }
            }
        }
        if (!consistent) {
            return false;
        }
    }
    MANUL_TRY(const std::uint32_t after, generation());
    return after == snapshot.generation;
}

Result<NftSocket::Snapshot> NftSocket::read() {
    Snapshot snapshot;
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
        MANUL_TRY(const bool consistent, read_once(snapshot));
        if (consistent) {
            return snapshot;
        }
    }
    return fail("the ruleset kept changing while it was read");
}

Result<bool> NftSocket::contents_once(nft::KernelContents& contents, const WantsElements& wants_elements) {
    contents.clear();
    MANUL_TRY(const std::uint32_t before, generation());
    const auto decode = [&contents](const auto& message) { nft::decode_content(message, contents); };
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        MANUL_TRY(bool consistent, dump(nft::DumpKind::tables, {family, {}}, {}, [&](const auto& message) {
                      if (const auto table = nft::decode_table(message)) {
                          contents[*table];
                      }
                  }));
        MANUL_TRY(const bool chains, dump(nft::DumpKind::chains, {family, {}}, {}, decode));
        consistent = consistent && chains;
        for (auto& [table, content] : contents) {
            if (table.family != family) {
                continue;
            }
            for (const auto kind : {nft::DumpKind::rules, nft::DumpKind::sets}) {
                MANUL_TRY(const bool good, dump(kind, table, {}, decode));
                consistent = consistent && good;
            }
            for (auto& [name, set] : content.sets) {
                set.read = set.anonymous || wants_elements(table, name);
                if (set.read) {
                    MANUL_TRY(const bool good, dump(nft::DumpKind::elements, table, name, decode));
                    consistent = consistent && good;
                }
            }
        }
        if (!consistent) {
            return false;
        }
    }
    MANUL_TRY(const std::uint32_t after, generation());
    return before == after;
}

Result<nft::KernelContents> NftSocket::contents(const WantsElements& wants_elements) {
    nft::KernelContents contents;
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
        MANUL_TRY(const bool consistent, contents_once(contents, wants_elements));
        if (consistent) {
            return contents;
        }
    }
    return fail("the ruleset kept changing while it was read");
}

Result<std::vector<nft::ForeignChain>> NftSocket::foreign_chains() {
    std::vector<nft::ForeignChain> chains;
    netlink::RequestBuffer request;
    nft::request_base_chains(request);
    MANUL_TRY([[maybe_unused]] const bool listed, dump(request, [&chains](const auto& message) {
                  if (auto chain = nft::decode_foreign_chain(message)) {
                      chains.push_back(*std::move(chain));
                  }
              }));
    for (nft::ForeignChain& chain : chains) {
        netlink::RequestBuffer rules;
        nft::request_rules(rules, chain);
        MANUL_TRY([[maybe_unused]] const bool read, dump(rules, [&chain](const auto& message) {
                      chain.drops_at_end = chain.drops_at_end || nft::denies_everything(message);
                  }));
    }
    return chains;
}

Result<std::set<std::string>> NftSocket::calico_tables() {
    std::set<std::string> tables;
    netlink::RequestBuffer request;
    nft::request_base_chains(request);
    MANUL_TRY([[maybe_unused]] const bool listed, dump(request, [&tables](const auto& message) {
                  if (auto table = nft::decode_calico_table(message)) {
                      tables.insert(*std::move(table));
                  }
              }));
    return tables;
}

Result<std::set<std::string>> NftSocket::ip_sets() {
    std::set<std::string> names;
    netlink::RequestBuffer request;
    nft::request_ip_sets(request);
    MANUL_TRY([[maybe_unused]] const bool listed, dump(request, [&names](const auto& message) {
                  if (auto name = nft::decode_ip_set(message)) {
                      names.insert(*std::move(name));
                  }
              }));
    return names;
}

Result<std::uint32_t> NftSocket::generation() {
    netlink::RequestBuffer request;
    nft::request_generation(request);
    MANUL_CHECK(send(request.view()));
    MANUL_TRY(const auto bytes, receive());
    netlink::MessageWalk walk(bytes);
    while (const auto message = walk.next()) {
        if (const auto generation = nft::decode_generation(*message)) {
            return *generation;
        }
    }
    return fail("nf_tables did not tell its generation");
}

Result<std::optional<render::Members>> NftSocket::members(const render::TableKey& table, const std::string& set,
                                                          std::size_t most) {
    render::Members members;
    MANUL_TRY(const bool consistent, dump(nft::DumpKind::elements, table, set, [&](const auto& message) {
                  nft::decode_members(message, members);
                  return members.size() <= most;
              }));
    return consistent && members.size() <= most ? std::optional(std::move(members)) : std::nullopt;
}

Result<std::optional<std::vector<nft::KernelChain::Rule>>> NftSocket::rules(const render::TableKey& table,
                                                                            const std::string& chain) {
    std::vector<nft::KernelChain::Rule> found;
    MANUL_TRY(const bool consistent, dump(nft::DumpKind::rules, table, chain, [&found](const auto& message) {
                  if (const auto rule = nft::decode_rule(message)) {
                      found.push_back(*rule);
                  }
              }));
    return consistent ? std::optional(std::move(found)) : std::nullopt;
}

Result<std::vector<nft::RuleCounter>> NftSocket::counters() {
    std::vector<nft::RuleCounter> found;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        for (const render::TableId table : render::kAllTables) {
            MANUL_TRY(const auto of_table, counters({family, table}, {}));
            found.insert(found.end(), of_table.begin(), of_table.end());
        }
    }
    return found;
}

Result<std::vector<nft::RuleCounter>> NftSocket::counters(const render::TableKey& table, const std::string& chain) {
    std::vector<nft::RuleCounter> found;
    MANUL_TRY([[maybe_unused]] const bool consistent,
              dump(nft::DumpKind::rules, table, chain, [&](const auto& message) {
                  if (auto counter = nft::decode_counter(message)) {
                      found.push_back(std::move(*counter));
                  }
              }));
    return found;
}

// --- monitor --------------------------------------------------------------------------------------------------------

NftMonitor::NftMonitor(UniqueFd fd) : fd_(std::move(fd)), buffer_(kReceiveSize) {
    std::array<char, 16> name{};
    (void)::prctl(PR_GET_NAME, name.data());
    own_name_ = name.data();
}

Result<NftMonitor> NftMonitor::open() {
    MANUL_TRY(UniqueFd fd, open_socket(kMonitorRoom));
    const int group = NFNLGRP_NFTABLES;
    if (::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) {
        return fail(fmt::format("cannot subscribe to nf_tables changes: {}", std::strerror(errno)));
    }
    return NftMonitor(std::move(fd));
}

void NftMonitor::listen(bool on) noexcept {
    const int group = NFNLGRP_NFTABLES;
    (void)::setsockopt(fd_.get(), SOL_NETLINK, on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, &group,
                       sizeof(group));
}

NftMonitor::Heard NftMonitor::take() {
    Heard heard;
    const auto self = static_cast<std::uint32_t>(::getpid());
    for (;;) {
        const auto count = receive_now(fd_.get(), buffer_);
        if (!count) {
            ours_touched_ = false;
            heard.lost = true;
            continue;
        }
        if (!*count) {
            return heard;
        }
        netlink::MessageWalk walk(std::span<const std::uint8_t>(buffer_).first(**count));
        while (const auto message = walk.next()) {
            const nft::Notice notice = nft::decode_notice(*message);
            ours_touched_ = ours_touched_ || notice.ours.has_value();
            if (notice.generation) {
                // The kernel tells the number outside of process namespaces: in a container the name decides.
                const bool own = notice.process == self || notice.process_name == own_name_;
                if (std::exchange(ours_touched_, false) && !own) {
                    heard.who = fmt::format("{} (process {})", notice.process_name, notice.process);
                }
            }
        }
    }
}

}  // namespace manul::felix::io
