#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "config/model/lease.hpp"
#include "ipam/core/garbage.hpp"

/// Elects the process that does the cluster's chores. Pure: the Lease as read and the time in, what to do out.
///
/// Clocks of different machines are never compared: a holder counts as gone when its Lease has not changed for
/// kTakeOver on the observer's own steady clock, and a holder that could not renew for kGiveUp stops acting by itself,
/// before anybody can take over.
namespace manul::ipam {

class LeaseKeeper {
public:
    static constexpr std::chrono::seconds kRenew{10};
    static constexpr std::chrono::seconds kGiveUp{20};
    static constexpr std::chrono::seconds kTakeOver{30};

    enum class Step : std::uint8_t {
        wait,     ///< somebody else holds it, or it is early to renew
        acquire,  ///< write it with ourselves as holder: nobody holds it, or its holder is gone
        renew,
    };

    explicit LeaseKeeper(std::string identity) : identity_(std::move(identity)) {}

    /// `lease` is null when there is none; `revision` is its revision then empty.
    [[nodiscard]] Step observe(const model::LeaseSpec* lease, const std::string& revision, SteadyTime now);
    /// What to write for `acquire` or `renew`. `timestamp`: the wall clock, for people.
    [[nodiscard]] model::LeaseSpec next(const model::LeaseSpec* lease, const std::string& timestamp) const;
    /// The write succeeded; `asked_at` is the time of its observe().
    void written(const std::string& revision, SteadyTime asked_at);

    [[nodiscard]] bool may_act(SteadyTime now) const noexcept { return held_since_ && now - *held_since_ < kGiveUp; }
    [[nodiscard]] const std::string& identity() const noexcept { return identity_; }

private:
    std::string identity_;
    std::string seen_revision_;
    std::optional<SteadyTime> seen_since_;  ///< when the lease changed last, as far as we saw
    std::optional<SteadyTime> held_since_;  ///< of the last successful write
};

}  // namespace manul::ipam
