#include "test/config/etcd_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/unique_fd.hpp"

namespace manul::test {

namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// Bound until its user is about to bind it.
struct FreePort {
    UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::uint16_t number = 0;

    FreePort() {
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
            ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
            number = ntohs(address.sin_port);
        }
    }
};

bool listens(std::uint16_t port) {
    const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

pid_t spawn(const std::vector<std::string>& command, const std::string& log) {
    const pid_t pid = ::fork();
    if (pid != 0) {
        return pid;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // also when the test crashes
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    std::vector<char*> arguments;
    for (const std::string& each : command) {
        arguments.push_back(const_cast<char*>(each.c_str()));
    }
    arguments.push_back(nullptr);
    ::execvp(arguments.front(), arguments.data());
    ::_exit(127);
}

}  // namespace

EtcdCluster::EtcdCluster(Options options) : options_(std::move(options)) {
    std::vector<FreePort> ports(static_cast<std::size_t>(options_.members) * 2);
    for (std::size_t i = 0; i < static_cast<std::size_t>(options_.members); ++i) {
        members_.push_back({ports[2 * i].number, ports[2 * i + 1].number, -1});
    }
    ports.clear();
    for (int i = 0; i < options_.members; ++i) {
        start(i);
    }
    // A cluster answers when it has a leader.
    for (int i = 0; i < 100 && !control("endpoint health"); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

EtcdCluster::~EtcdCluster() {
    for (int i = 0; i < options_.members; ++i) {
        kill(i);
    }
}

std::string EtcdCluster::endpoint(int member) const {
    return fmt::format("{}://127.0.0.1:{}", options_.tls_directory.empty() ? "http" : "https",
                       members_[static_cast<std::size_t>(member)].client_port);
}

std::vector<std::string> EtcdCluster::endpoints() const {
    std::vector<std::string> out;
    for (int i = 0; i < options_.members; ++i) {
        out.push_back(endpoint(i));
    }
    return out;
}

void EtcdCluster::kill(int member) {
    pid_t& pid = members_[static_cast<std::size_t>(member)].pid;
    if (pid > 0) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        pid = -1;
    }
}

void EtcdCluster::stop(int member) { ::kill(members_[static_cast<std::size_t>(member)].pid, SIGSTOP); }
void EtcdCluster::resume(int member) { ::kill(members_[static_cast<std::size_t>(member)].pid, SIGCONT); }

void EtcdCluster::start(int member) {
    std::vector<std::string> peers;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        peers.push_back(fmt::format("m{}=http://127.0.0.1:{}", i, members_[i].peer_port));
    }
    Process& process = members_[static_cast<std::size_t>(member)];
    const std::string peer = fmt::format("http://127.0.0.1:{}", process.peer_port);
    std::vector<std::string> command{"etcd",
                                     "--name",
                                     fmt::format("m{}", member),
                                     "--data-dir",
                                     fmt::format("{}/m{}-{}", directory(), member, generation_),
                                     "--listen-client-urls",
                                     endpoint(member),
                                     "--advertise-client-urls",
                                     endpoint(member),
                                     "--listen-peer-urls",
                                     peer,
                                     "--initial-advertise-peer-urls",
                                     peer,
                                     "--initial-cluster",
                                     fmt::format("{}", fmt::join(peers, ",")),
                                     "--initial-cluster-token",
                                     fmt::format("test-{}-{}", members_.front().peer_port, generation_)};
    if (!options_.tls_directory.empty()) {
        const std::string& tls = options_.tls_directory;
        command.insert(command.end(), {"--cert-file", tls + "/server.crt", "--key-file", tls + "/server.key",
                                       "--trusted-ca-file", tls + "/ca.crt", "--client-cert-auth"});
    }
    command.insert(command.end(), options_.arguments.begin(), options_.arguments.end());
    process.pid = spawn(command, fmt::format("{}/m{}.log", directory(), member));
    for (int i = 0; i < 300 && !listens(process.client_port); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (::waitpid(process.pid, nullptr, WNOHANG) == process.pid) {
            process.pid = -1;
            return;
        }
    }
}

void EtcdCluster::replace() {
    kill(0);
    ++generation_;
    start(0);
}

const std::string& EtcdCluster::directory() const {
    return options_.directory.empty() ? directory_.path() : options_.directory;
}

bool EtcdCluster::control(const std::string& arguments) const {
    const std::string& tls = options_.tls_directory;
    const std::string certificates =
        tls.empty() ? "" : fmt::format("--cacert {0}/ca.crt --cert {0}/client.crt --key {0}/client.key ", tls);
    const std::string command =
        fmt::format("ETCDCTL_API=3 timeout 20 etcdctl --endpoints {} {}{} >>{}/control.log 2>&1", endpoint(0),
                    certificates, arguments, directory());
    return std::system(command.c_str()) == 0;  // NOLINT(cert-env33-c): a test's own words
}

std::string EtcdCluster::fresh_prefix() {
    static int number = 0;
    return fmt::format("/test/{}", ++number);
}

bool has_etcd() { return std::system("command -v etcd etcdctl >/dev/null 2>&1") == 0; }  // NOLINT(cert-env33-c)

}  // namespace manul::test
