#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "felix/calc/event.hpp"

namespace manul::felix {

/// An object that is not in force as stored.
struct Report {
    enum class Effect {
        kept,     ///< refused; the version before stays in force
        denies,   ///< refused, and there is none before: what the policy selects is denied in its directions
        nothing,  ///< refused, and nothing was in force before
        partly,   ///< in force, but not all of it is enforced as written
    };

    model::Key key;
    Effect effect = Effect::nothing;
    std::string reason;
    std::string refused_revision;   ///< empty when nothing was refused
    std::string revision_in_force;  ///< empty when none is

    bool operator==(const Report&) const = default;
};

/// A last good version that the journal should now hold (`revision`), or hold no more (no revision).
struct JournalChange {
    model::Key key;
    std::optional<std::string> revision;

    bool operator==(const JournalChange&) const = default;
};

/// Decides which version of each object is in force: the newest that was valid. Remembers revisions, not objects: what
/// stays in force stays where it is.
///
/// An invalid policy that never was valid denies the workload endpoints it selects, provided that its tier, order,
/// selectors and types can be read; host endpoints are spared, so that nobody locks himself out of a node. Any other
/// object that never was valid has no effect.
class LastGood {
public:
    /// What the calculation must do about a refused version.
    struct Verdict {
        enum class Action { ignore, put, remove };
        Action action = Action::ignore;
        model::ResourcePtr resource;  ///< to put
    };

    /// From the journal of an earlier run, before anything else: it is in force until the store says otherwise.
    void restore(const model::Resource& resource);
    /// The very version that is in force already: there is nothing to do.
    [[nodiscard]] bool is_known(const model::Resource& resource) const;
    /// A valid version is in force from now on.
    void accept(const model::Resource& resource);
    Verdict refuse(const ResourceRefused& event);
    /// Whether anything was in force that must go.
    bool remove(const model::Key& key);
    /// The store was listed: what the journal had and the store has not is gone. Each is removed.
    std::vector<model::Key> confirm();

    /// Refused objects, sorted by key.
    [[nodiscard]] std::vector<Report> reports() const;
    /// What the journal must learn since the last call. Only kinds that people apply are kept there.
    [[nodiscard]] std::vector<JournalChange> take_journal_changes();

private:
    struct Entry {
        std::string revision_in_force;
        bool in_force = false;
    };

    void note(const model::Key& key, std::optional<std::string> revision);

    std::unordered_map<model::Key, Entry> entries_;
    std::unordered_map<model::Key, Report> refused_;
    std::unordered_set<model::Key> unconfirmed_;
    std::unordered_map<model::Key, std::optional<std::string>> journal_;
};

/// The policy with nothing but a Deny in each of its directions, for workload endpoints alone; null when it is for host
/// endpoints alone.
[[nodiscard]] model::ResourcePtr deny_everything(const model::Resource& policy);

}  // namespace manul::felix
