#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/daemon.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "felix/calc/event.hpp"

namespace manul::felix::io {

/// A group of changes, in order, and the documents of the objects that were put.
struct StoreChanges {
    std::vector<Event> events;
    std::unordered_map<model::Key, std::shared_ptr<const std::string>> documents;
};

/// Follows every kind that felix reads: lists, then watches, lists again when a watch ends. While the store cannot be
/// read nothing changes, and it is tried again with growing pauses. StoreInSync comes once, with the first list.
class Datastore {
public:
    using OnChanges = std::function<void(const StoreChanges&)>;

    Datastore(boost::asio::io_context& io, std::unique_ptr<store::Store> store, OnChanges on_changes);

    /// Lists for the first time, or as soon as the store can be read.
    void start() { connect(); }

    /// The last token of each kind that people apply, by the kind's reported name: of the newest change that was handed
    /// on, or of the last list.
    [[nodiscard]] const std::map<std::string, std::string>& tokens() const noexcept { return tokens_; }
    [[nodiscard]] std::size_t count(model::Kind kind) const;
    /// The revision of the version that was handed on last; nothing when there is none.
    [[nodiscard]] std::optional<store::Revision> revision_of(const model::Key& key) const;
    /// Hands these objects on as the store holds them, whatever was handed on before.
    void read_again(const std::vector<model::Key>& keys);
    [[nodiscard]] bool connected() const noexcept { return watch_ != nullptr; }

private:
    void connect();
    void on_readable();
    [[nodiscard]] store::StoreResult<void> list(model::Kind kind, StoreChanges& changes,
                                                std::vector<store::WatchStart>& starts);
    void put(const store::Object& object, Event event, StoreChanges& changes);
    void remove(const model::Key& key, StoreChanges& changes);
    void note_token(model::Kind kind, const store::Revision& revision);
    void failed(const store::StoreError& error);

    boost::asio::io_context& io_;
    std::unique_ptr<store::Store> store_;
    OnChanges on_changes_;
    std::map<model::Kind, std::unordered_map<model::Key, store::Revision>> known_;
    std::map<std::string, std::string> tokens_;
    bool in_sync_ = false;
    bool reported_away_ = false;
    std::int64_t retry_us_;
    Timer retry_;
    std::unique_ptr<store::Watch> watch_;
    std::unique_ptr<ReadableWatch> readable_;
};

}  // namespace manul::felix::io
