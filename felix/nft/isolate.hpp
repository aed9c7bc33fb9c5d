#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "felix/nft/tracker.hpp"
#include "felix/nft/transaction.hpp"

/// A transaction is carried out as a whole or not at all, so one object that the kernel refuses would hold back every
/// other change. commit_what_goes() finds such objects, leaves them out, and brings the rest into force.
namespace manul::felix::nft {

/// What became of one try.
struct Attempt {
    enum class Outcome : std::uint8_t {
        done,
        refused,  ///< the kernel changed nothing and would refuse it again
        failed,   ///< for another reason (busy, interrupted, not permitted, answer lost): nothing can be concluded
    };
    Outcome outcome = Outcome::failed;
    std::optional<std::size_t> command;  ///< of a refusal: the first command that the kernel named
    std::string reason;
};

struct Withheld {
    ObjectName object;
    std::string reason;
};
struct Isolation {
    Attempt::Outcome outcome = Attempt::Outcome::failed;
    std::string reason;              ///< why it was not done
    std::vector<Withheld> withheld;  ///< left out; the rest is in force when `outcome` is done
};

/// Takes over what has no owner, then plans and tries until the kernel accepts. An object that it names is withheld
/// (Tracker::withhold). When it names none, all chains and sets of the plan are withheld and given back by halves. Base
/// chains and tables are never left out: without them nothing is judged.
[[nodiscard]] Isolation commit_what_goes(Tracker& tracker, Scope scope,
                                         const std::function<Attempt(Transaction&)>& attempt);

/// The chain or set that a command works on; nothing for tables and base chains.
[[nodiscard]] std::optional<ObjectName> object_of(const Command& command);

}  // namespace manul::felix::nft
