#include "config/store/kubernetes/exec_plugin.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/run_program.hpp"
#include "config/codec/tree.hpp"

namespace manul::store::kubernetes {

namespace {

/// Without an expiration the credential holds until the server refuses it.
constexpr std::chrono::hours kUnlimited{24};

/// Seconds since 1970 of "2026-01-02T03:04:05Z"; nothing for other texts.
std::optional<std::int64_t> parse_time(const std::string& text) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return end != nullptr && *end == '\0' ? std::optional<std::int64_t>(::timegm(&parts)) : std::nullopt;
}

}  // namespace

Result<ExecCredential> run_exec_plugin(const ExecPlugin& plugin) {
    ProgramRun run{.command = {plugin.command}, .environment = plugin.environment};
    run.command.insert(run.command.end(), plugin.arguments.begin(), plugin.arguments.end());
    run.environment.emplace_back(
        "KUBERNETES_EXEC_INFO",
        R"({"apiVersion":")" + plugin.api_version + R"(","kind":"ExecCredential","spec":{"interactive":false}})");
    const auto output = run_program(run);
    if (!output) {
        return fail("the credential plugin: " + output.error().message);
    }
    if (output->cut) {
        return fail("the credential plugin " + plugin.command + " printed more than 1 MiB");
    }
    if (output->status != 0) {
        return fail("the credential plugin " + plugin.command + " failed");
    }
    return parse_exec_credential(output->text, std::time(nullptr));
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
