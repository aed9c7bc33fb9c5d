#pragma once

#include <cstdint>
#include <memory>

#include "base/daemon.hpp"
#include "config/store/store.hpp"

namespace manul::serve {

/// Undoes a change that nobody confirmed in time (config/rollback.hpp). Where hosts have this server as their datastore
/// no other program may: the daemons' role does not write what people write. A manul-felix that enforces the old
/// versions on its node meanwhile sees them written back.
class RollbackKeeper {
public:
    RollbackKeeper(boost::asio::io_context& io, std::unique_ptr<store::Store> store);

    /// To be called about once a second; never blocks. `now`: seconds of a steady clock, on which the time counts from
    /// when the change was first seen.
    void check(std::int64_t now);

private:
    /// On the worker's thread.
    void look(std::int64_t now);

    std::unique_ptr<store::Store> store_;
    store::Revision waiting_;  ///< of the record that is followed; empty: none
    std::int64_t since_ = 0;
    std::int64_t retry_at_ = 0;
    bool busy_ = false;  ///< of the io_context's thread; the rest is the worker's
    Worker worker_;      // last: it uses the others
};

}  // namespace manul::serve
