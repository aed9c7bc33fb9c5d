#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.hpp"
#include "config/store/store.hpp"

/// manulctl: the command line. main() parses arguments; each verb is a function from its options and a Context to an
/// exit code. What a verb prints goes through the Context, so that tests read it.
namespace manul::ctl {

/// 0 ok, 1 the operation failed (at least in part), 2 the command line is wrong. For diff, 1 means a difference, and a
/// failure is 2.
enum class ExitCode : int { ok = 0, failed = 1, usage = 2, trouble = 2 };

struct Context {
    config::Settings settings;
    store::Store* store = nullptr;  ///< null for commands that need none
    std::function<void(std::string_view)> out;
    std::function<void(std::string_view)> err;
    std::function<std::string()> read_standard_input;
    bool out_is_terminal = false;
    /// Flushes what was printed; false: it can no longer be written. For commands that keep printing.
    std::function<bool()> flush = {};

    void print(std::string_view text) const { out(text); }
    /// One line on standard error, with the program's name in front.
    ExitCode fail(std::string_view text) const {
        err("manulctl: " + std::string(text) + "\n");
        return ExitCode::failed;
    }
};

/// "name: reason" with one indented line a detail.
[[nodiscard]] std::string describe(const store::StoreError& error);

}  // namespace manul::ctl
