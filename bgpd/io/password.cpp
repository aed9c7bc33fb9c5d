#include "bgpd/io/password.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/unique_fd.hpp"
#include "bgpd/speaker/configuration.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::size_t kLongestKey = 80;  // of TCP-MD5 on Linux

struct Found {
    std::optional<std::string> value;
    std::string problem;
    bool there = false;  ///< good or bad, the search ends here
};

Found in_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return {};
        }
        return {std::nullopt, path + ": " + ::strerror(errno), true};  // NOLINT(concurrency-mt-unsafe)
    }
    struct stat about{};
    if (::fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
        return {std::nullopt, path + " is not a file", true};
    }
    if ((about.st_mode & 0077U) != 0) {
        return {std::nullopt, fmt::format("{} has mode {:04o}; it must be 0600", path, about.st_mode & 07777U), true};
    }
    std::array<char, 4096> buffer{};
    const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
    std::string text(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    while (text.ends_with('\n') || text.ends_with('\r')) {
        text.pop_back();
    }
    return {std::move(text), {}, true};
}

Found find(const speaker::Password& password, const StoredSecrets& secrets, const std::string& directory) {
    const std::string path = directory + "/" + password.secret + "/" + password.key;
    if (Found file = in_file(path); file.there) {
        return file;
    }
    if (const auto stored = secrets.values.find({password.secret, password.key}); stored != secrets.values.end()) {
        return {stored->second, {}, true};
    }
    if (const auto why = secrets.unreadable.find(password.secret); why != secrets.unreadable.end()) {
        return {std::nullopt, "Secret manul-system/" + password.secret + " cannot be read: " + why->second, false};
    }
    return {std::nullopt,
            "neither the file " + path + " nor key " + password.key + " of Secret manul-system/" + password.secret +
                " exists",
            false};
}

void look_up(speaker::PeerConfig& peer, const StoredSecrets& secrets, const std::string& directory) {
    if (!peer.password) {
        return;
    }
    Found found = find(*peer.password, secrets, directory);
    const std::string where = "secret " + peer.password->secret + ", key " + peer.password->key;
    if (found.value && found.value->empty()) {
        found = {std::nullopt, where + ": it is empty", true};
    } else if (found.value && found.value->size() > kLongestKey) {
        found = {std::nullopt, fmt::format("{}: longer than the {} bytes of a TCP-MD5 key", where, kLongestKey), true};
    }
    peer.password->value = std::move(found.value);
    peer.password->problem = std::move(found.problem);
}

}  // namespace

std::string password_files(const speaker::Configuration& configuration, const std::string& directory) {
    std::string text;
    const auto add = [&](const std::vector<speaker::PeerConfig>& peers) {
        for (const speaker::PeerConfig& peer : peers) {
            if (!peer.password) {
                continue;
            }
            const std::string path = directory + "/" + peer.password->secret + "/" + peer.password->key;
            struct stat about{};
            if (::stat(path.c_str(), &about) == 0) {
                text += fmt::format("{} {} {} {} {} {}\n", path, about.st_ino, about.st_size, about.st_mode,
                                    about.st_ctim.tv_sec, about.st_ctim.tv_nsec);
            }
        }
    };
    add(configuration.peers);
    add(configuration.ranges);
    return text;
}

void look_up_passwords(speaker::Configuration& configuration, const StoredSecrets& secrets,
                       const std::string& directory) {
    for (auto* peers : {&configuration.peers, &configuration.ranges}) {
        for (speaker::PeerConfig& peer : *peers) {
            look_up(peer, secrets, directory);
        }
    }
}

}  // namespace manul::bgp::io
