#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::test {

/// Listens where manul-ipamd would, and answers as a test wants: to show what the plugin does when ipamd refuses, hangs
/// or dies. What ipamd itself does is tested with the real one.
class FakeIpamd {
public:
    /// No answer: the connection is closed.
    using Handler = std::function<std::optional<ipam::Answer>(const ipam::Request&)>;

    FakeIpamd(const std::string& run_dir, Handler handler);
    FakeIpamd(const FakeIpamd&) = delete;
    FakeIpamd& operator=(const FakeIpamd&) = delete;
    ~FakeIpamd();

    [[nodiscard]] std::vector<ipam::Request> requests() const;

private:
    void serve(const std::stop_token& stop);
    void answer(int fd);

    Handler handler_;
    UniqueFd listener_;
    mutable std::mutex mutex_;
    std::vector<ipam::Request> requests_;
    std::jthread thread_;  // last: it uses the others
};

}  // namespace manul::test
