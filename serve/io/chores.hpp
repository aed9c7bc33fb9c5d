#pragma once

#include <cstdint>
#include <memory>

#include "base/daemon.hpp"
#include "config/store/store.hpp"

namespace manul::serve {

/// What must be done though nobody asks for it now. A change that nobody confirmed in time is undone
/// (config/rollback.hpp): where hosts have this server as their datastore no other program may, since the daemons' role
/// does not write what people write; a manul-felix that enforces the old versions on its node meanwhile sees them
/// written back. And the deletion of namespaces goes on (config/store/namespaces.hpp).
class Chores {
public:
    Chores(boost::asio::io_context& io, std::unique_ptr<store::Store> store);

    /// To be called about once a second; never blocks. `now`: seconds of a steady clock, on which the time counts from
    /// when the change was first seen.
    void check(std::int64_t now);

private:
    // On the worker's thread.
    void undo_unconfirmed(std::int64_t now);
    void end_namespaces(std::int64_t now);

    std::unique_ptr<store::Store> store_;
    store::Revision waiting_;  ///< of the record that is followed; empty: none
    std::int64_t since_ = 0;
    std::int64_t retry_at_ = 0;
    std::int64_t namespaces_at_ = 0;  ///< when they are looked at next
    bool busy_ = false;               ///< of the io_context's thread; the rest is the worker's
    Worker worker_;                   // last: it uses the others
};

}  // namespace manul::serve
