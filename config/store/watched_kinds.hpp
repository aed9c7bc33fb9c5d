#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <expected>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/store.hpp"

namespace manul::store {

/// Decimal revisions, as the memory and SQLite backends give them.
[[nodiscard]] inline std::optional<std::int64_t> parse_revision(std::string_view text) noexcept {
    std::int64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size() || value < 0) {
        return std::nullopt;
    }
    return value;
}

/// Which kinds a watch follows, and up to which revision each was read. A kind that ended is followed no more.
class WatchedKinds {
public:
    [[nodiscard]] static StoreResult<WatchedKinds> make(std::span<const WatchStart> starts) {
        WatchedKinds kinds;
        for (const WatchStart& start : starts) {
            const auto revision = start.revision.empty() ? kEnded : parse_revision(start.revision);
            if (!revision) {
                return std::unexpected(error(StoreError::Code::invalid,
                                             "\"" + start.revision + "\" is no revision to start a watch from"));
            }
            kinds.tokens_.emplace_back(start.kind, *revision);
        }
        return kinds;
    }

    /// Token of a kind whose start is known to be useless: below everything that a log can hold.
    static constexpr std::optional<std::int64_t> kEnded = -1;

    [[nodiscard]] bool empty() const noexcept { return tokens_.empty(); }

    /// Everything above this revision still has to be read.
    [[nodiscard]] std::int64_t position() const noexcept {
        std::int64_t lowest = std::numeric_limits<std::int64_t>::max();
        for (const auto& [kind, revision] : tokens_) {
            lowest = std::min(lowest, revision);
        }
        return lowest;
    }

    /// As Positioned::position().
    [[nodiscard]] std::optional<Revision> revision() const {
        return tokens_.empty() ? std::nullopt : std::optional(std::to_string(position()));
    }

    [[nodiscard]] bool wants(model::Kind kind, std::int64_t revision) const noexcept {
        return std::ranges::any_of(tokens_,
                                   [&](const auto& token) { return token.first == kind && token.second < revision; });
    }

    void add_to(std::set<model::Kind>& kinds) const {
        for (const auto& token : tokens_) {
            kinds.insert(token.first);
        }
    }

    /// Everything up to `revision` was read: every kind's token moves on, also of kinds without a change.
    void advance(std::int64_t revision) noexcept {
        for (auto& token : tokens_) {
            token.second = std::max(token.second, revision);
        }
    }

    /// Ends what can no longer be followed: the log begins above its token, or the store's revision is below it.
    void end_outside(std::int64_t compacted, std::int64_t newest, std::vector<Event>& events) {
        end_if([&](model::Kind, std::int64_t token) { return token < compacted || token > newest; }, events);
    }

    /// Ends the kinds whose token `ended(kind, revision)` picks, with one resync event each.
    template <class Predicate>
    void end_if(Predicate ended, std::vector<Event>& events) {
        std::erase_if(tokens_, [&](const auto& token) {
            if (!ended(token.first, token.second)) {
                return false;
            }
            events.push_back(Event{Event::Type::resync, Object{model::Key{token.first, {}, {}}, {}, nullptr}});
            return true;
        });
    }

private:
    std::vector<std::pair<model::Kind, std::int64_t>> tokens_;
};

}  // namespace manul::store
