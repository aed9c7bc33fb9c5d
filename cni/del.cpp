#include "cni/del.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "ipam/local/client.hpp"
#include "ipam/local/protocol.hpp"

namespace manul::cni {

namespace {

CniResult<void> io_failure(const std::string& what) {
    return refuse(Code::io_failure, "cannot write " + what + ": " + std::strerror(errno));
}

bool write_all(int fd, const std::string& text) {
    for (std::size_t written = 0; written < text.size();) {
        const ssize_t count = ::write(fd, text.data() + written, text.size() - written);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        written += count < 0 ? 0 : static_cast<std::size_t>(count);
    }
    return true;
}

/// A whole file or none, also after power loss: temporary name, fsync, rename, fsync of the directory.
CniResult<void> write_journal(const ipam::Request& request, const std::string& state_dir) {
    const std::string directory = state_dir + "/cni-journal";
    (void)::mkdir(state_dir.c_str(), 0755);
    const int made = ::mkdir(directory.c_str(), 0700) == 0 ? 0 : errno;
    const UniqueFd parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent) {
        errno = errno == ENOENT && made != 0 ? made : errno;  // "read-only" says more than "not there"
        return io_failure(directory);
    }
    const std::string name = ipam::journal_name(request);
    const std::string temporary = "." + name + "." + std::to_string(::getpid());
    const UniqueFd file(::openat(parent.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file || !write_all(file.get(), ipam::encode(request)) || ::fsync(file.get()) != 0 ||
        ::renameat(parent.get(), temporary.c_str(), parent.get(), name.c_str()) != 0 || ::fsync(parent.get()) != 0) {
        auto failed = io_failure(directory + "/" + name);
        (void)::unlinkat(parent.get(), temporary.c_str(), 0);
        return failed;
    }
    return {};
}

/// Why ipamd did not take the request; empty when it did.
std::string ask(const ipam::Request& request, const NetConf& conf) {
    const auto now = ipam::Client::Clock::now();
    auto client = ipam::Client::connect(conf.run_dir + "/cni.sock", now, now + conf.limits.release);
    if (!client) {
        return client.error().message;
    }
    if (auto sent = client->send(request); !sent) {
        return sent.error().message;
    }
    const auto answer = client->receive();
    if (!answer) {
        return answer.error().message;
    }
    return answer->error ? answer->error->msg : std::string();
}

}  // namespace

CniResult<void> release(const ipam::Request& request, const NetConf& conf, std::string& note) {
    const std::string reason = ask(request, conf);
    if (reason.empty()) {
        return {};
    }
    MANUL_CHECK(write_journal(request, conf.state_dir));
    note = reason + "; the release is journaled in " + conf.state_dir + "/cni-journal";
    return {};
}

CniResult<void> del(const Environment& environment, const NetConf& conf, std::string& note) {
    MANUL_TRY(const ipam::Request request, make_request(ipam::Op::del, environment, conf));
    return release(request, conf, note);
}

}  // namespace manul::cni
