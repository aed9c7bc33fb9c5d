#include "test/serve/server_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "config/store/server.hpp"
#include "test/config/store_contract.hpp"

namespace manul::test {

ServerProcess::ServerProcess() {
    std::string name = (std::filesystem::temp_directory_path() / "manul-server-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
    start();
}

ServerProcess::~ServerProcess() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

void ServerProcess::kill() {
    if (process_ > 0) {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        process_ = -1;
    }
}

void ServerProcess::start() {
    const std::string settings = directory_ + "/manul.yaml";
    std::ofstream(settings) << "node: {name: host1}\ndatastore: {type: sqlite, path: " << directory_
                            << "/store.db}\nrun_dir: " << directory_ << "\nstate_dir: " << directory_
                            << "\nlog_dir: " << directory_ << "\nserve: {listen: \"127.0.0.1:" << port_ << "\"}\n";
    int output[2];
    REQUIRE(::pipe2(output, O_CLOEXEC) == 0);
    process_ = ::fork();
    if (process_ == 0) {
        ::dup2(output[1], STDERR_FILENO);
        ::execl(MANUL_MANULCTL, MANUL_MANULCTL, "-c", settings.c_str(), "serve", "--insecure", nullptr);
        ::_exit(127);
    }
    ::close(output[1]);
    static const std::string kMark = "serving the API on http://127.0.0.1:";
    std::string said;
    char byte = 0;
    while (::read(output[0], &byte, 1) == 1) {
        said += byte;
        if (byte == '\n' && said.find(kMark) != std::string::npos) {
            break;
        }
    }
    ::close(output[0]);
    CAPTURE(said);
    const std::size_t at = said.find(kMark);
    REQUIRE(at != std::string::npos);
    port_ = said.substr(at + kMark.size());
    port_.resize(port_.find_first_not_of("0123456789"));
    std::ofstream(kubeconfig()) << "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: "
                                   "{server: \"http://127.0.0.1:"
                                << port_
                                << "\"}\ncontexts:\n- name: c\n  context: {cluster: c, user: u}\nusers:\n"
                                   "- name: u\n  user: {}\n";
}

std::vector<StoreFixture> store_fixtures() {
    const auto server = std::make_shared<ServerProcess>();
    return {{.name = "server",
             .open = [server] { return store::open_server({.kubeconfig = server->kubeconfig(), .context = {}}); },
             .open_small_log = {},
             .backend = {}}};
}

}  // namespace manul::test
