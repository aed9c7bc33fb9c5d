#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/flat_table.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

/// An nftables ruleset as values: what the renderer makes, the printer shows, the differ compares and the encoder turns
/// into netlink. Values say what a rule means (match a port, mark the connection), not how the kernel is asked for it;
/// only felix/nft/encode knows registers and expressions.
///
/// Invariants: every table, chain and set is ours, named by TableId and a string; a rule's fingerprint covers its whole
/// meaning, and travels in the kernel as the rule's comment, so that a dump can be compared without decoding it.
namespace manul::felix::render {

/// Our tables; each exists once in `ip` and once in `ip6`. Pod egress, pod ingress and the host are apart because the
/// kernel validates a whole table when a rule with a verdict is added to it.
enum class TableId : std::uint8_t { raw, pre, nat, egress, ingress, host };

inline constexpr std::array kAllTables{TableId::raw,    TableId::pre,     TableId::nat,
                                       TableId::egress, TableId::ingress, TableId::host};

[[nodiscard]] std::string_view name(TableId table) noexcept;
[[nodiscard]] std::optional<TableId> find_table(std::string_view name) noexcept;

struct TableKey {
    net::Family family = net::Family::v4;
    TableId id = TableId::raw;

    auto operator<=>(const TableKey&) const = default;
};

/// What can be a part of a set's key; the order of a key's parts is the order of the concatenation.
enum class Field : std::uint8_t {
    source_address,
    destination_address,
    protocol,
    source_port,
    destination_port,
    in_interface,
    out_interface,
    in_group,
    out_group,
};

enum class Side : std::uint8_t { source, destination };

// --- verdicts -------------------------------------------------------------------------------------------------------

struct Verdict {
    enum class Kind : std::uint8_t { accept, drop, return_to_caller, jump, go_to };
    Kind kind = Kind::drop;
    std::string chain;  ///< of jump and go_to

    auto operator<=>(const Verdict&) const = default;
};

[[nodiscard]] inline Verdict accept() { return {Verdict::Kind::accept, {}}; }
[[nodiscard]] inline Verdict drop() { return {Verdict::Kind::drop, {}}; }
[[nodiscard]] inline Verdict return_to_caller() { return {Verdict::Kind::return_to_caller, {}}; }
[[nodiscard]] inline Verdict jump(std::string chain) { return {Verdict::Kind::jump, std::move(chain)}; }
[[nodiscard]] inline Verdict go_to(std::string chain) { return {Verdict::Kind::go_to, std::move(chain)}; }

// --- matches --------------------------------------------------------------------------------------------------------

/// The address lies in one of `prefixes` (sorted, none inside another, not empty).
struct MatchAddress {
    Side side;
    std::vector<net::Prefix> prefixes;
    bool negated = false;
    bool operator==(const MatchAddress&) const = default;
};
struct MatchProtocol {
    std::uint8_t protocol;
    bool negated = false;
    bool operator==(const MatchProtocol&) const = default;
};
/// The port lies in one of `ports` (sorted, disjoint, not empty). The rule tests the protocol before.
struct MatchPort {
    Side side;
    std::vector<net::PortRange> ports;
    bool negated = false;
    bool operator==(const MatchPort&) const = default;
};
/// ICMP in `ip` tables, ICMPv6 in `ip6` ones; the rule tests the protocol before. Negated: not (type and code equal).
struct MatchIcmp {
    std::uint8_t type;
    std::optional<std::uint8_t> code;
    bool negated = false;
    bool operator==(const MatchIcmp&) const = default;
};
/// The ICMP type is one of these (sorted).
struct MatchIcmpTypes {
    std::vector<std::uint8_t> types;
    bool operator==(const MatchIcmpTypes&) const = default;
};
struct MatchInterface {
    enum class Way : std::uint8_t { in, out };
    Way way;
    std::string name;
    bool prefix = false;  ///< `name` is the beginning of the name
    bool negated = false;
    bool operator==(const MatchInterface&) const = default;
};
/// Key fields looked up in a set of the same table.
struct MatchSet {
    std::vector<Field> fields;
    std::string set;
    bool negated = false;
    bool operator==(const MatchSet&) const = default;
};
/// A TCP packet that asks for no connection (without SYN); the rule tests the protocol before.
struct MatchMidStream {
    bool operator==(const MatchMidStream&) const = default;
};
/// Any of the bits is set. Bits as in the kernel's nf_conntrack_common.h (NF_CT_STATE_BIT).
struct MatchCtState {
    std::uint32_t bits;
    bool operator==(const MatchCtState&) const = default;
};
inline constexpr std::uint32_t kCtInvalid = 1;
inline constexpr std::uint32_t kCtEstablished = 2;
inline constexpr std::uint32_t kCtRelated = 4;
inline constexpr std::uint32_t kCtNew = 8;
inline constexpr std::uint32_t kCtUntracked = 64;

/// Any of the bits is set in the connection's status. Bits as in the kernel's enum ip_conntrack_status.
struct MatchCtStatus {
    std::uint32_t bits;
    bool operator==(const MatchCtStatus&) const = default;
};
inline constexpr std::uint32_t kCtDestinationNat = 32;
/// The connection carries this label. A packet without a connection does not.
struct MatchCtLabel {
    std::uint8_t bit;
    bool operator==(const MatchCtLabel&) const = default;
};
/// The node itself sent the packet; for chains at postrouting.
struct MatchFromNode {
    bool operator==(const MatchFromNode&) const = default;
};

/// The interface is (negated: is not) in one of the groups that stand for classes of workloads, or on its way out.
struct MatchWorkloadGroup {
    MatchInterface::Way way;
    bool negated = false;
    bool operator==(const MatchWorkloadGroup&) const = default;
};
/// Groups of one value under this mask are ours.
inline constexpr std::uint32_t kGroupMask = 0xff000000;
inline constexpr std::uint32_t kOurGroups = 0x6d000000;

/// The destination is one of the node's own addresses.
struct MatchLocalDestination {
    bool operator==(const MatchLocalDestination&) const = default;
};
/// The source is one of the node's own addresses, but not one of the interface by which the packet leaves.
struct MatchOwnSourceElsewhere {
    bool operator==(const MatchOwnSourceElsewhere&) const = default;
};
/// No route leads back to the source through the interface that the packet came in by.
struct MatchSpoofed {
    bool operator==(const MatchSpoofed&) const = default;
};

using Match = std::variant<MatchAddress, MatchProtocol, MatchPort, MatchIcmp, MatchIcmpTypes, MatchInterface, MatchSet,
                           MatchMidStream, MatchCtState, MatchCtStatus, MatchCtLabel, MatchFromNode, MatchWorkloadGroup,
                           MatchLocalDestination, MatchOwnSourceElsewhere, MatchSpoofed>;

// --- actions --------------------------------------------------------------------------------------------------------

struct Count {
    bool operator==(const Count&) const = default;
};
/// Bytes of a packet that a Log copies: the headers.
inline constexpr std::uint32_t kLogSnapLength = 128;
/// To user space by NFLOG; the kernel log is silent in network namespaces.
struct Log {
    std::uint16_t group;
    std::string prefix;  ///< at most 127 characters
    bool operator==(const Log&) const = default;
};
/// The rule goes on while no more than `packets` came in `seconds` (token bucket); `seconds` is a second, a minute, an
/// hour or a day. `over`: it goes on when there were more.
struct Limit {
    std::uint32_t packets;
    std::uint32_t seconds;
    std::uint32_t burst;
    bool over = false;
    bool operator==(const Limit&) const = default;
};
/// The rule goes on when more connections than these came by it that still live.
struct ConnectionsOver {
    std::uint32_t connections;
    bool operator==(const ConnectionsOver&) const = default;
};
/// Writes the whole connection mark. It is not read, not even to keep some bits: reading ends the rule for packets
/// without a connection (untracked, or invalid and let through), and an accept behind it would never be reached.
struct SetCtMark {
    std::uint32_t value;
    bool operator==(const SetCtMark&) const = default;
};
/// Adds a label to the connection; without a connection nothing happens.
struct SetCtLabel {
    std::uint8_t bit;
    bool operator==(const SetCtLabel&) const = default;
};
/// The packet will have no connection; for chains before connection tracking.
struct Notrack {
    bool operator==(const Notrack&) const = default;
};
/// To an address of the outgoing interface; the new source port is random, in `ports` where given.
struct Masquerade {
    std::optional<net::PortRange> ports;
    bool operator==(const Masquerade&) const = default;
};
struct Snat {
    net::Ip address;
    std::optional<net::PortRange> ports;
    bool operator==(const Snat&) const = default;
};
struct Dnat {
    net::Ip address;
    std::optional<std::uint16_t> port;  ///< absent: stays
    bool operator==(const Dnat&) const = default;
};
/// Writes the packet's differentiated services code point (0 to 63).
struct SetDscp {
    std::uint8_t value;
    bool operator==(const SetDscp&) const = default;
};
/// Port unreachable, or a reset where the rule tests for TCP.
struct Reject {
    bool tcp_reset = false;
    bool operator==(const Reject&) const = default;
};
/// Looks the fields up in a verdict map of the same table; without an element the next rule is tried.
struct LookupVerdict {
    std::vector<Field> fields;
    std::string map;
    bool operator==(const LookupVerdict&) const = default;
};

using Action = std::variant<Count, Log, Limit, ConnectionsOver, SetCtMark, SetCtLabel, Notrack, Masquerade, Snat, Dnat,
                            SetDscp, Reject, LookupVerdict, Verdict>;

// --- rules, chains --------------------------------------------------------------------------------------------------

struct Rule {
    std::vector<Match> matches;
    std::vector<Action> actions;
    std::uint64_t id = 0;  ///< policy rule or end that this rule stands for; 0: part of the skeleton
    bool operator==(const Rule&) const = default;
};

/// Where a base chain hangs; its policy is always accept (drops are rules, so that they can be counted and logged).
struct Hook {
    enum class Type : std::uint8_t { filter, nat };
    enum class Point : std::uint8_t { prerouting, input, forward, output, postrouting };  // NF_INET_*
    Type type;
    Point point;
    std::int32_t priority;
    bool operator==(const Hook&) const = default;
};

/// A rule and its fingerprint in a family, shared by all chains that hold it.
struct SharedRule {
    Rule rule;
    std::uint64_t fingerprint = 0;
};
using RulePtr = std::shared_ptr<const SharedRule>;
[[nodiscard]] RulePtr share(net::Family family, Rule rule);
[[nodiscard]] std::vector<RulePtr> share(net::Family family, std::vector<Rule> rules);

/// The rules themselves, for readers.
class RuleRange {
public:
    class Iterator {
    public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = Rule;
        using difference_type = std::ptrdiff_t;
        using pointer = const Rule*;
        using reference = const Rule&;

        Iterator() = default;
        explicit Iterator(std::vector<RulePtr>::const_iterator at) : at_(at) {}
        reference operator*() const { return (*at_)->rule; }
        pointer operator->() const { return &(*at_)->rule; }
        Iterator& operator++() {
            ++at_;
            return *this;
        }
        Iterator operator++(int) { return Iterator(at_++); }
        bool operator==(const Iterator&) const = default;

    private:
        std::vector<RulePtr>::const_iterator at_;
    };

    explicit RuleRange(const std::vector<RulePtr>& rules) noexcept : rules_(&rules) {}
    [[nodiscard]] Iterator begin() const { return Iterator(rules_->begin()); }
    [[nodiscard]] Iterator end() const { return Iterator(rules_->end()); }
    [[nodiscard]] std::size_t size() const noexcept { return rules_->size(); }
    [[nodiscard]] bool empty() const noexcept { return rules_->empty(); }
    [[nodiscard]] const Rule& operator[](std::size_t i) const { return (*rules_)[i]->rule; }
    [[nodiscard]] const Rule& front() const { return rules_->front()->rule; }

private:
    const std::vector<RulePtr>* rules_;
};

/// A chain never changes: an edit makes a new one. `fingerprints[i]` is that of `rules[i]`.
class Chain {
public:
    [[nodiscard]] static std::shared_ptr<const Chain> make(net::Family family, std::vector<Rule> rules,
                                                           std::optional<Hook> hook = std::nullopt);
    [[nodiscard]] static std::shared_ptr<const Chain> make(std::vector<RulePtr> rules,
                                                           std::optional<Hook> hook = std::nullopt);

    [[nodiscard]] RuleRange rules() const noexcept { return RuleRange(rules_); }
    [[nodiscard]] const std::vector<RulePtr>& shared_rules() const noexcept { return rules_; }
    [[nodiscard]] const std::optional<Hook>& hook() const noexcept { return hook_; }
    [[nodiscard]] const std::vector<std::uint64_t>& fingerprints() const noexcept { return fingerprints_; }
    /// A fingerprint stands for the rule, as it does in the kernel.
    bool operator==(const Chain& other) const { return hook_ == other.hook_ && fingerprints_ == other.fingerprints_; }

private:
    Chain() = default;

    std::optional<Hook> hook_;
    std::vector<RulePtr> rules_;
    std::vector<std::uint64_t> fingerprints_;
};
using ChainPtr = std::shared_ptr<const Chain>;

// --- sets -----------------------------------------------------------------------------------------------------------

/// Element key as the kernel holds it: each part padded to four bytes, addresses and ports in network order, numbers of
/// interface groups in host order. Longest: an IPv6 address, a protocol and a port.
class ElementKey {
public:
    static constexpr std::size_t kCapacity = 24;

    ElementKey() noexcept = default;
    explicit ElementKey(const net::Ip& address) noexcept;
    ElementKey(const net::Ip& address, std::uint8_t protocol, std::uint16_t port) noexcept;
    [[nodiscard]] static ElementKey group(std::uint32_t number) noexcept;
    [[nodiscard]] static ElementKey interface(std::string_view name) noexcept;
    [[nodiscard]] static ElementKey port(std::uint8_t protocol, std::uint16_t port) noexcept;
    [[nodiscard]] static ElementKey from_bytes(std::span<const std::uint8_t> bytes) noexcept;

    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return std::span(bytes_).first(size_); }
    [[nodiscard]] std::uint32_t group_number() const noexcept;
    /// The key that follows as a number; nothing after the greatest.
    [[nodiscard]] std::optional<ElementKey> next() const noexcept;

    auto operator<=>(const ElementKey&) const = default;

private:
    void append(std::span<const std::uint8_t> bytes) noexcept;
    void append_port(std::uint8_t protocol, std::uint16_t port) noexcept;

    std::array<std::uint8_t, kCapacity> bytes_{};
    std::uint8_t size_ = 0;
};

struct ElementKeyHash {
    std::size_t operator()(const ElementKey& key) const noexcept { return net::hash_bytes(key.bytes(), 0); }
};

/// What a set is made with; never changes during its life.
struct SetType {
    std::vector<Field> fields;
    enum class Shape : std::uint8_t { members, ranges, verdicts } shape = Shape::members;
    bool operator==(const SetType&) const = default;
};

/// One element of a set: `end` (inclusive) in sets of ranges, `verdict` in maps.
struct Element {
    ElementKey key;
    ElementKey end;
    Verdict verdict;
    auto operator<=>(const Element&) const = default;
};

/// Ranges in order of their first keys, those that overlap or touch joined into one: the kernel refuses overlaps.
[[nodiscard]] std::vector<Element> join_ranges(const std::vector<Element>& ranges);
/// Prefixes (sorted) as the ranges that they cover together.
[[nodiscard]] std::vector<Element> ranges_of(const std::vector<net::Prefix>& prefixes);

using Members = FlatSet<ElementKey, ElementKeyHash>;

/// A set or verdict map with its content: `members` for plain sets, `elements` by key for the others. Members may be
/// many: who wants the set and who programs it look at the same object, which the owner keeps up to date.
struct Set {
    SetType type;
    std::shared_ptr<const Members> members;  ///< absent: none
    std::map<ElementKey, Element> elements;

    [[nodiscard]] const Members& member_keys() const;
    /// Compares contents.
    bool operator==(const Set& other) const;
};

// --- the whole ------------------------------------------------------------------------------------------------------

struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
};
/// Thousands of objects, each looked at several times when it changes; seldom listed.
template <class T>
using ByName = std::unordered_map<std::string, T, NameHash, std::equal_to<>>;
/// The entries in the order of their names.
template <class T>
[[nodiscard]] std::vector<const std::pair<const std::string, T>*> in_order(const ByName<T>& objects) {
    std::vector<const std::pair<const std::string, T>*> entries;
    entries.reserve(objects.size());
    for (const auto& entry : objects) {
        entries.push_back(&entry);
    }
    std::ranges::sort(entries, {}, [](const auto* entry) -> const std::string& { return entry->first; });
    return entries;
}

struct Table {
    ByName<ChainPtr> chains;
    ByName<Set> sets;
};

struct Ruleset {
    std::map<TableKey, Table> tables;
};

/// Compares contents, not addresses.
[[nodiscard]] bool same(const Ruleset& a, const Ruleset& b);

// --- changes --------------------------------------------------------------------------------------------------------

struct PutTable {
    TableKey table;
};
struct RemoveTable {
    TableKey table;
};
struct PutChain {
    TableKey table;
    std::string name;
    ChainPtr chain;
};
struct RemoveChain {
    TableKey table;
    std::string name;
};
/// A plain set comes with its members, now and later; ChangeElements then tells what changed in them.
struct PutSet {
    TableKey table;
    std::string name;
    SetType type;
    std::shared_ptr<const Members> members{};
};
struct RemoveSet {
    TableKey table;
    std::string name;
};
/// `remove` is applied first. In plain sets these are real changes: what was there goes, what was not there comes. In
/// others adding what is there and removing what is not there is allowed.
struct ChangeElements {
    TableKey table;
    std::string set;
    std::vector<ElementKey> remove;
    std::vector<Element> add;
};

/// One step from a wanted ruleset to the next. A chain is put after the chains and sets that it names.
using Change = std::variant<PutTable, RemoveTable, PutChain, RemoveChain, PutSet, RemoveSet, ChangeElements>;

/// Brings a ruleset value up to date.
void apply(Ruleset& ruleset, const Change& change);

}  // namespace manul::felix::render
