#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "config/store/backend.hpp"
#include "config/store/store.hpp"

namespace manul::store {

inline constexpr std::size_t kMaxKeys = 100;
inline constexpr std::size_t kMaxTransactionBytes = std::size_t{1} << 20U;

/// The one Store over every backend.
///
/// A write is: read the keys, check the caller's preconditions, set the store's own fields, drop what changes nothing,
/// check against other objects (admission), commit with everything that was read as precondition. When somebody else
/// was faster the whole is done again, so a caller without precondition never sees a conflict that it could not know.
///
/// Invariants: a stored document never holds metadata.resourceVersion, a returned one always does; `generation` grows
/// exactly when `spec` changes; uid and creationTimestamp never change during an object's life; nobody stays owner of a
/// field that somebody else changed.
class ObjectStore final : public Store {
public:
    /// `manager`: in whose name changed fields of objects that have owners (metadata.managedFields) are recorded;
    /// empty: the documents say it themselves.
    explicit ObjectStore(std::unique_ptr<Backend> backend, std::string manager = {});

    [[nodiscard]] StoreResult<Object> get(const model::Key& key) override;
    [[nodiscard]] std::vector<StoreResult<Object>> get_all(std::span<const model::Key> keys) override;
    [[nodiscard]] StoreResult<Listing> list(const ListQuery& query) override;
    [[nodiscard]] StoreResult<Object> create(const model::Key& key, std::string_view document) override;
    [[nodiscard]] StoreResult<Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<Revision>& expected) override;
    [[nodiscard]] StoreResult<Object> remove(const model::Key& key, const std::optional<Revision>& expected) override;
    [[nodiscard]] StoreResult<Revision> transact(std::span<const Op> ops, Checks checks) override;
    [[nodiscard]] bool transactional() const noexcept override { return backend_->transactional(); }
    [[nodiscard]] StoreResult<std::string> identity() override;
    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override;

private:
    /// One requested change, while the call lasts.
    struct Change {
        enum class Need : std::uint8_t { any, absent, present, revision };

        Mutation::Type type;
        model::Key key;
        std::string_view document;  ///< of a put, as the caller gave it
        Need need = Need::any;
        Revision revision;
    };
    /// What one attempt would write, beside what was there.
    struct Plan;
    /// What a put would store.
    struct Wanted {
        std::string body;  ///< empty: what is stored already
        model::ResourcePtr resource;
    };
    /// An object as this store wrote it lately. Whoever owns it writes it again (a block of addresses with every pod, a
    /// report with every change), and need not read it before: the commit compares the revision. With a datastore on
    /// the network that halves the time of a write.
    struct Written {
        Revision revision;
        std::shared_ptr<const std::string> body;
    };
    static constexpr std::size_t kMaxWrittenBytes = std::size_t{1} << 20U;
    static constexpr std::size_t kLargestWritten = std::size_t{16} << 10U;

    [[nodiscard]] static StoreResult<void> check_limits(std::span<const Change> changes);
    [[nodiscard]] static StoreResult<void> check_need(const Change& change, const std::optional<Row>& row);
    [[nodiscard]] StoreResult<Wanted> wanted(const Change& change, const Row* before, Checks checks,
                                             const std::string& now) const;
    [[nodiscard]] StoreResult<Plan> plan(std::span<const Change> changes, Snapshot before, Checks checks) const;
    [[nodiscard]] StoreResult<Snapshot> read(std::span<const Change> changes);
    [[nodiscard]] std::optional<Row> recall(const Change& change, Checks checks) const;
    [[nodiscard]] std::optional<Snapshot> recall(std::span<const Change> changes, Checks checks) const;
    /// Takes the bodies that were written out of the plan.
    void remember(std::span<const Change> changes, Plan& plan);
    void forget();
    /// What is to be written, checked against other objects; `kinds` are those that must not change meanwhile.
    [[nodiscard]] StoreResult<Plan> judged(std::span<const Change> changes, Snapshot before, Checks checks,
                                           std::vector<KindUnchanged>& kinds);
    [[nodiscard]] StoreResult<Plan> apply(std::span<const Change> changes, Checks checks);
    /// Creates built-in objects, once per Store; where that fails the next call tries again. Fails itself when nothing
    /// can be read: whoever waited for that need not wait for the same again.
    [[nodiscard]] StoreResult<void> initialise();

    std::unique_ptr<Backend> backend_;
    std::string manager_;
    std::map<model::Key, Written> written_;
    std::size_t written_bytes_ = 0;  ///< of the bodies in `written_`
    Row last_read_{};                ///< by get(): who reads an object often writes it next; null body: nothing
    std::map<model::Kind, std::string> listed_identity_;  ///< of the store at the last list of each kind
    bool initialised_ = false;
};

}  // namespace manul::store
