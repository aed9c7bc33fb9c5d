#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/workload_endpoint.hpp"

/// Endpoints that this node's ipamd announced and the store has not shown yet. They are in force as if they were
/// stored, because the pod that waits for its policy should not wait for one thing after the other; but the store
/// decides. An expectation ends in one of these ways:
///   confirmed     the store shows that very document at that very revision: nothing to do
///   overridden    the store shows anything else of that object, or another object with one of its addresses
///   withdrawn     ipamd says that it was not committed
///   expired       none of these within a bound: ipamd was killed, or the disk hangs
/// In all but the first the endpoint goes as if it had been deleted; when it is committed after all, the store tells.
///
/// Pure: what the time is, is told. Only objects of which the store has nothing can be expected, so that there is never
/// an older version to go back to.
namespace manul::felix {

class Expectations {
public:
    static constexpr std::int64_t kBoundUs = 2'000'000;

    using Document = std::shared_ptr<const std::string>;

    /// `endpoint` is what `document` says. One that was expected before is no longer.
    void expect(const model::WorkloadEndpoint& endpoint, Document document, std::int64_t now_us);

    enum class Seen : std::uint8_t { not_expected, confirmed, overridden };
    /// The store shows a version of the object; it is not expected any more.
    [[nodiscard]] Seen see(const model::Key& key, const std::string& revision, const std::string& document);
    /// The store shows this endpoint, by whatever way it came: those that are expected with an address of it. They are
    /// not any more.
    [[nodiscard]] std::vector<model::Key> override_by(const model::WorkloadEndpoint& endpoint);
    /// The store removed the object.
    void forget(const model::Key& key) { expected_.erase(key); }
    /// Whether it was expected at that revision; it is not any more.
    [[nodiscard]] bool withdraw(const model::Key& key, const std::string& revision);
    /// Those that waited too long; they are not expected any more.
    [[nodiscard]] std::vector<model::Key> take_expired(std::int64_t now_us);

    [[nodiscard]] bool contains(const model::Key& key) const { return expected_.contains(key); }
    [[nodiscard]] bool empty() const noexcept { return expected_.empty(); }

private:
    struct Expected {
        std::string revision;
        Document document;
        std::vector<net::Prefix> addresses;
        std::int64_t until_us = 0;
    };

    std::map<model::Key, Expected> expected_;
};

}  // namespace manul::felix
