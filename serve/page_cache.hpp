#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"

namespace manul::serve {

/// Lists that are read in pages: all pages show the same state, although the store keeps only the newest one. A list
/// that is not continued for a while is dropped, and its reader is told to begin again (410). Shared by threads.
class PageCache {
public:
    using ListingPtr = std::shared_ptr<const store::Listing>;

    void keep(model::Kind kind, const std::optional<std::string>& ns, ListingPtr listing, std::int64_t now) {
        const std::lock_guard lock(mutex_);
        drop_old(now);
        if (kept_.size() >= kMost) {
            kept_.pop_front();
        }
        kept_.push_back({kind, ns, std::move(listing), now});
    }

    [[nodiscard]] ListingPtr find(model::Kind kind, const std::optional<std::string>& ns, const std::string& revision,
                                  std::int64_t now) {
        const std::lock_guard lock(mutex_);
        drop_old(now);
        for (Entry& entry : kept_) {
            if (entry.kind == kind && entry.ns == ns && entry.listing->revision == revision) {
                entry.used = now;
                return entry.listing;
            }
        }
        return nullptr;
    }

private:
    static constexpr std::size_t kMost = 16;
    static constexpr std::int64_t kLifeSeconds = 120;

    struct Entry {
        model::Kind kind;
        std::optional<std::string> ns;
        ListingPtr listing;
        std::int64_t used;
    };

    void drop_old(std::int64_t now) {
        std::erase_if(kept_, [&](const Entry& entry) { return now - entry.used > kLifeSeconds; });
    }

    std::mutex mutex_;
    std::deque<Entry> kept_;
};

}  // namespace manul::serve
