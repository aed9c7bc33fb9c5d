#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/nlri.hpp"
#include "bgpd/wire/notification.hpp"
#include "net/ip.hpp"

namespace manul::bgp::wire {

/// Where a route leads. IPv6 peers on a link may give a link-local address beside the global one (RFC 2545); when they
/// give only that, it is the address.
struct NextHop {
    net::Ip address;
    std::optional<net::Ip6> link_local;

    bool operator==(const NextHop&) const = default;
};

/// What the session was negotiated to be, as far as an UPDATE's meaning depends on it.
struct UpdateContext {
    FamilySet families = {net::Family::v4};  ///< others are ignored (RFC 4760 section 6)
    bool four_octet_as = true;
    bool internal = false;        ///< iBGP
    FamilySet add_path;           ///< prefixes have path identifiers (RFC 7911)
    bool ipv6_next_hops = false;  ///< IPv4 routes may have IPv6 next hops (RFC 8950)
    /// Routes without LOCAL_PREF are errors, as on every internal session (RFC 4271 section 5.1.5); not for those who
    /// read what speakers of both kinds have said.
    bool needs_local_pref = false;
};

/// The strongest error found in an UPDATE.
struct UpdateFault {
    std::uint8_t subcode = 0;    ///< update_error::*, 0 = none
    std::uint8_t attribute = 0;  ///< type, 0 = none in particular
    ByteView data;               ///< what a NOTIFICATION would carry; refers into the message

    [[nodiscard]] Notification notification() const;
};

/// A validated UPDATE: views into the message and into the decoder's buffer, valid until the decoder's next call.
///
/// Apply withdrawals first, then announcements: a prefix in both counts as announced (RFC 4271 section 4.3). With
/// `treat_as_withdraw` the announced prefixes count as withdrawn; `each_withdrawn` and `each_announced` know that. With
/// `reset` nothing but `fault` may be used.
struct Update {
    Verdict verdict = Verdict::ok;
    UpdateFault fault;

    NlriView withdrawn;     ///< IPv4, body
    NlriView announced;     ///< IPv4, body
    NextHop next_hop;       ///< of `announced`
    NlriView mp_withdrawn;  ///< MP_UNREACH_NLRI
    NlriView mp_announced;  ///< MP_REACH_NLRI
    NextHop mp_next_hop;    ///< of `mp_announced`

    ByteView attributes;  ///< canonical, see attribute.hpp; empty when nothing is announced

    std::optional<net::Family> end_of_rib;  ///< RFC 4724 section 2

    /// Calls `f(const net::Prefix&)` for every prefix that goes away.
    template <class F>
    void each_withdrawn(F&& f) const {
        each(withdrawn, f);
        each(mp_withdrawn, f);
        if (verdict == Verdict::treat_as_withdraw) {
            each(announced, f);
            each(mp_announced, f);
        }
    }
    /// Calls `f(const net::Prefix&, const NextHop&)` for every prefix that is announced.
    template <class F>
    void each_announced(F&& f) const {
        if (verdict >= Verdict::treat_as_withdraw) {
            return;
        }
        for (const net::Prefix prefix : announced) {
            f(prefix, next_hop);
        }
        for (const net::Prefix prefix : mp_announced) {
            f(prefix, mp_next_hop);
        }
    }

private:
    template <class F>
    static void each(const NlriView& prefixes, F& f) {
        for (const net::Prefix prefix : prefixes) {
            f(prefix);
        }
    }
};

/// Reads UPDATE messages (RFC 4271 section 4.3, 4760, 6793, errors as RFC 7606) in one walk. Keeps one buffer for the
/// canonical attributes and otherwise no state; after the first few messages it allocates nothing.
class UpdateDecoder {
public:
    /// `body` is the message without its header; the result refers to it and to this decoder.
    [[nodiscard]] Update decode(ByteView body, const UpdateContext& context);

private:
    Bytes canonical_;
    Bytes scratch_;
};

}  // namespace manul::bgp::wire
