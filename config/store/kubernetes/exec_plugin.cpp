#include "config/store/kubernetes/exec_plugin.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "config/codec/tree.hpp"

namespace manul::store::kubernetes {

namespace {

constexpr std::chrono::seconds kLongestRun{30};
/// Without an expiration the credential holds until the server refuses it.
constexpr std::chrono::hours kUnlimited{24};
constexpr std::size_t kLongestOutput = std::size_t{1} << 20U;

/// Seconds since 1970 of "2026-01-02T03:04:05Z"; nothing for other texts.
std::optional<std::int64_t> parse_time(const std::string& text) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return end != nullptr && *end == '\0' ? std::optional<std::int64_t>(::timegm(&parts)) : std::nullopt;
}

/// Everything the child prints until it closes its output; an error when that takes too long.
Result<std::string> read_all(int fd, const std::string& command) {
    const auto deadline = std::chrono::steady_clock::now() + kLongestRun;
    std::string output;
    std::array<char, 4096> buffer{};
    while (output.size() <= kLongestOutput) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd ready{fd, POLLIN, 0};
        if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) {
            return fail("the credential plugin " + command + " did not answer within 30 s");
        }
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count == 0) {
            return output;
        }
        if (count < 0 && errno != EINTR) {
            return fail("reading from the credential plugin " + command + ": " + std::strerror(errno));
        }
        output.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
    return fail("the credential plugin " + command + " printed more than 1 MiB");
}

/// Null-terminated, as posix_spawn wants it.
std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (std::string& text : texts) {
        out.push_back(text.data());
    }
    out.push_back(nullptr);
    return out;
}

}  // namespace

Result<ExecCredential> run_exec_plugin(const ExecPlugin& plugin) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return fail(std::string("pipe: ") + std::strerror(errno));
    }
    const UniqueFd read_end(ends[0]);
    UniqueFd write_end(ends[1]);
    std::vector<std::string> arguments{plugin.command};
    arguments.insert(arguments.end(), plugin.arguments.begin(), plugin.arguments.end());
    std::vector<std::string> environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        environment.emplace_back(*variable);
    }
    for (const auto& [name, value] : plugin.environment) {
        std::erase_if(environment, [&](const std::string& entry) { return entry.starts_with(name + "="); });
        environment.push_back(name + "=" + value);
    }
    environment.push_back(R"(KUBERNETES_EXEC_INFO={"apiVersion":")" + plugin.api_version +
                          R"(","kind":"ExecCredential","spec":{"interactive":false}})");
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    pid_t child = 0;
    const int failed = ::posix_spawnp(&child, plugin.command.c_str(), &actions, nullptr, pointers(arguments).data(),
                                      pointers(environment).data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        return fail("cannot run the credential plugin " + plugin.command + ": " + std::strerror(failed));
    }
    write_end.reset();
    const auto output = read_all(read_end.get(), plugin.command);
    if (!output) {
        ::kill(child, SIGKILL);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    MANUL_TRY(const std::string text, output);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return fail("the credential plugin " + plugin.command + " failed");
    }
    return parse_exec_credential(text, std::time(nullptr));
}

Result<ExecCredential> parse_exec_credential(const std::string& output, std::int64_t unix_now) {
    const auto tree = codec::parse_json(output);
    if (!tree || tree->text_at("kind") != "ExecCredential") {
        return fail("the credential plugin did not print an ExecCredential");
    }
    ExecCredential credential;
    credential.token = tree->text_at("status", "token");
    credential.certificate = tree->text_at("status", "clientCertificateData");
    credential.key = tree->text_at("status", "clientKeyData");
    credential.life = kUnlimited;
    if (credential.token.empty() && credential.certificate.empty()) {
        return fail("the credential plugin gave neither token nor certificate");
    }
    if (const auto end = parse_time(std::string(tree->text_at("status", "expirationTimestamp")))) {
        credential.life = std::chrono::seconds(std::max<std::int64_t>(*end - unix_now, 0));
    }
    return credential;
}

}  // namespace manul::store::kubernetes
