#pragma once

namespace manul::ctl {

/// While it exists, SIGINT and SIGTERM end a wait() instead of the process.
class Interrupt {
public:
    Interrupt();
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    /// Waits for a signal, for `other` to be readable (-1: none) or for the timeout (-1: none). True: a signal came.
    [[nodiscard]] bool wait(int other, int milliseconds) const noexcept;
};

}  // namespace manul::ctl
