#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace manul::serve {

/// An answer that goes on. Calls come from any thread.
class Stream {
public:
    virtual ~Stream() = default;
    /// Queues bytes; shared, since many clients get the same.
    virtual void write(std::shared_ptr<const std::string> bytes) = 0;
    /// Bytes that are queued and not yet sent.
    [[nodiscard]] virtual std::size_t backlog() const noexcept = 0;
    /// The client is gone: nothing that is written arrives.
    [[nodiscard]] virtual bool closed() const noexcept = 0;
    /// Nothing follows; what is queued is still sent.
    virtual void finish() = 0;
    /// Ends at once.
    virtual void abort() = 0;
};

}  // namespace manul::serve
