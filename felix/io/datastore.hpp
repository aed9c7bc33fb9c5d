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
#include "config/store_in_force.hpp"
#include "felix/calc/event.hpp"

namespace manul::felix::io {

/// A group of changes, in order, and the documents of the objects that were put.
struct StoreChanges {
    std::vector<Event> events;
    std::unordered_map<model::Key, std::shared_ptr<const std::string>> documents;
};

/// Follows every kind that felix reads: lists, then watches, and lists again when a watch ends. While the store cannot
/// be read nothing changes, and reading is retried with growing pauses. StoreInSync comes once, with the first list.
///
/// An empty store that has replaced the one in force is polled, and otherwise ignored until it contains something made
/// by people.
class Datastore {
public:
    using OnChanges = std::function<void(const StoreChanges&)>;

    /// `on_changes` is called without changes when is_lost() has become true.
    Datastore(boost::asio::io_context& io, std::unique_ptr<store::Store> store, config::StoreInForce in_force,
              OnChanges on_changes);

    /// Lists for the first time, or as soon as the store can be read.
    void start() { connect(); }

    /// The last token of each kind that people apply, by the kind's reported name: that of the newest change passed on,
    /// or of the last list.
    [[nodiscard]] const std::map<std::string, std::string>& tokens() const noexcept { return tokens_; }
    [[nodiscard]] std::size_t count(model::Kind kind) const;
    /// The revision of the version that was passed on last; nothing when there is none.
    [[nodiscard]] std::optional<store::Revision> revision_of(const model::Key& key) const;
    /// Passes these objects on as they are in the store, whatever was passed on before.
    void read_again(const std::vector<model::Key>& keys);
    /// Everything that happens in the store comes here.
    [[nodiscard]] bool connected() const noexcept { return watch_ != nullptr && !problem_; }
    /// Why it does not, as far as it is known.
    [[nodiscard]] std::string problem() const { return problem_.value_or(std::string()); }
    /// A new and empty store has replaced the one in force.
    [[nodiscard]] bool is_lost() const noexcept { return lost_; }

private:
    struct Listed {
        model::Kind kind;
        store::Listing listing;
    };
    /// Everything that the store holds at one time, and what happens from then on.
    struct Contents {
        std::string uid;
        std::vector<Listed> kinds;
        std::unique_ptr<store::Watch> watch;

        [[nodiscard]] bool is_made_by_people() const;
    };

    void connect();
    [[nodiscard]] store::StoreResult<Contents> read();
    void on_readable();
    void compare(const Listed& listed, StoreChanges& changes);
    void hand_on(const StoreChanges& changes);
    void hold();
    void put(const store::Object& object, Event event, StoreChanges& changes);
    void remove(const model::Key& key, StoreChanges& changes);
    void note_token(model::Kind kind, const store::Revision& revision);
    void failed(const store::StoreError& error);
    void report_away(const store::StoreError& error);

    boost::asio::io_context& io_;
    std::unique_ptr<store::Store> store_;
    config::StoreInForce in_force_;
    OnChanges on_changes_;
    std::string uid_;  ///< of the store that is followed
    std::map<model::Kind, std::unordered_map<model::Key, store::Revision>> known_;
    std::map<std::string, std::string> tokens_;
    bool in_sync_ = false;
    std::optional<std::string> problem_;  ///< that was reported and is not over
    bool lost_ = false;
    std::int64_t retry_us_;
    Timer retry_;
    std::unique_ptr<store::Watch> watch_;
    std::unique_ptr<ReadableWatch> readable_;
};

}  // namespace manul::felix::io
