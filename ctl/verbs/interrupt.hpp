#pragma once

namespace manul::ctl {

/// While it lives, SIGINT and SIGTERM do not end the process but what waits here.
class Interrupt {
public:
    Interrupt();
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    /// Waits for a signal or `other` (-1: none); at most so long (-1: for ever). True: a signal came.
    [[nodiscard]] bool wait(int other, int milliseconds) const noexcept;
};

}  // namespace manul::ctl
