#include "test/serve/server_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/store/server.hpp"
#include "test/config/store_contract.hpp"

namespace manul::test {

namespace {

/// Authorities `ca` and `other`, a server of 127.0.0.1, the client `admin` of group system:masters, `ann` of none, and
/// `stranger`, whose certificate is the other authority's.
bool make_certificates(const std::string& directory) {
    const std::string script =
        "cd " + directory +
        " && exec >openssl.log 2>&1 && new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes' && "
        "for ca in ca other; do $new -x509 -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.crt || exit 1; done && "
        "echo subjectAltName=IP:127.0.0.1 >server.ext && echo extendedKeyUsage=clientAuth >client.ext && "
        "sign() { $new -subj $2 -keyout $1.key -out $1.csr && openssl x509 -req -in $1.csr -CA $3.crt -CAkey $3.key "
        "-CAcreateserial -days 2 -extfile $4.ext -out $1.crt; } && sign server /CN=server ca server && "
        "sign admin /O=system:masters/CN=admin ca client && sign ann /CN=ann ca client && "
        "sign stranger /O=system:masters/CN=admin other client && chmod 600 *.key";
    return std::system(script.c_str()) == 0;  // NOLINT(cert-env33-c): a test's own words
}

}  // namespace

ServerProcess::ServerProcess(Options options) : options_(std::move(options)) {
    std::string name = (std::filesystem::temp_directory_path() / "manul-server-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
    REQUIRE((!options_.tls || make_certificates(directory_)));
    if (options_.datastore.empty()) {
        options_.datastore = "{type: sqlite, path: " + directory_ + "/store.db}";
    }
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
    const std::string files = options_.tls
                                  ? ", tls_cert_file: " + directory_ + "/server.crt, tls_key_file: " + directory_ +
                                        "/server.key, client_ca_file: " + directory_ + "/ca.crt"
                                  : "";
    std::ofstream(settings) << "node: {name: host1}\ndatastore: " << options_.datastore << "\nrun_dir: " << directory_
                            << "\nstate_dir: " << directory_ << "\nlog_dir: " << directory_
                            << "\nserve: {listen: \"127.0.0.1:" << port_ << "\"" << files << "}\n";
    int output[2];
    REQUIRE(::pipe2(output, O_CLOEXEC) == 0);
    process_ = ::fork();
    if (process_ == 0) {
        ::dup2(output[1], STDERR_FILENO);
        ::execl(MANUL_MANULCTL, MANUL_MANULCTL, "-c", settings.c_str(), "serve", options_.tls ? nullptr : "--insecure",
                nullptr);
        ::_exit(127);
    }
    ::close(output[1]);
    const std::string mark = "serving the API on http" + std::string(options_.tls ? "s" : "") + "://127.0.0.1:";
    std::string said;
    char byte = 0;
    while (::read(output[0], &byte, 1) == 1) {
        said += byte;
        if (byte == '\n' && said.find(mark) != std::string::npos) {
            break;
        }
    }
    ::close(output[0]);
    CAPTURE(said);
    const std::size_t at = said.find(mark);
    REQUIRE(at != std::string::npos);
    port_ = said.substr(at + mark.size());
    port_.resize(port_.find_first_not_of("0123456789"));
    std::filesystem::rename(kubeconfig_of("admin"), kubeconfig());
}

std::string ServerProcess::kubeconfig_of(const std::string& client, const std::string& authority,
                                         const std::string& address) const {
    const std::string at = address.empty() ? "127.0.0.1:" + port_ : address;
    const std::string path = directory_ + "/" + client + "-" + authority + "-" + at.substr(at.rfind(':') + 1);
    const std::string name = directory_ + "/" + client;
    std::ofstream(path)
        << "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {server: "
           "\"http"
        << (options_.tls ? "s" : "") << "://" << at << "\""
        << (options_.tls ? ", certificate-authority: " + directory_ + "/" + authority + ".crt" : "")
        << "}\ncontexts:\n- name: c\n  context: {cluster: c, user: u}\nusers:\n- name: u\n  user: {"
        << (options_.tls && !client.empty() ? "client-certificate: " + name + ".crt, client-key: " + name + ".key" : "")
        << "}\n";
    return path;
}

std::size_t ServerProcess::descriptors() const {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(process_) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::size_t ServerProcess::memory_kib() const {
    std::ifstream status("/proc/" + std::to_string(process_) + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) {
            return std::stoul(line.substr(6));
        }
    }
    return 0;
}

std::vector<StoreFixture> store_fixtures() {
    const auto server = std::make_shared<ServerProcess>();
    return {{.name = "server",
             .open = [server] { return store::open_server({.kubeconfig = server->kubeconfig(), .context = {}}); },
             .open_small_log = {},
             .backend = {}}};
}

}  // namespace manul::test
