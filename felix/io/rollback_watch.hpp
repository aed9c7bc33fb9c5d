#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/daemon.hpp"
#include "config/model/kind.hpp"
#include "config/rollback.hpp"
#include "config/store/store.hpp"
#include "felix/io/datastore.hpp"

namespace manul::felix::io {

/// Undoes a change that nobody confirmed in time (config/rollback.hpp). On this node at once, in the store as soon as
/// it can be written.
class RollbackWatch {
public:
    struct Hooks {
        /// Whether the stored version of the object is still the one with this revision.
        std::function<bool(const model::Key&, const store::Revision&)> is_current;
        /// Puts these versions into force, as if they had come from the store.
        std::function<void(const StoreChanges&)> enforce;
        /// Reads these objects from the store again, whatever is known about them.
        std::function<void(const std::vector<model::Key>&)> read_again;
    };
    /// `store` is used on the worker's thread alone.
    RollbackWatch(boost::asio::io_context& io, Worker& worker, store::Store& store, Hooks hooks);

    /// True when the event concerns only the record.
    bool handle(const Event& event, const StoreChanges& changes);

private:
    void start(const store::Object& record);
    void end();
    void on_due();
    void write_back();

    Worker& worker_;
    store::Store& store_;
    Hooks hooks_;
    std::optional<config::PendingRollback> pending_;
    std::vector<model::Key> enforced_;  ///< old versions that this node put into force by itself
    Timer due_;
    Timer retry_;
};

}  // namespace manul::felix::io
