#include "ctl/node/install_cni.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <boost/json/parse.hpp>

using namespace manul;
using namespace manul::ctl;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

struct Machine {
    fs::path root = fs::temp_directory_path() / ("manul-install-" + std::to_string(::getpid()));
    InstallCniOptions options{.bin_dir = root / "bin", .conf_dir = root / "net.d", .plugin = root / "plugin"};
    config::Settings settings;
    std::string out;
    std::string err;

    Machine() {
        fs::remove_all(root);
        fs::create_directories(root);
        std::ofstream(root / "plugin") << "program";
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;
    ~Machine() { fs::remove_all(root); }

    ExitCode install() {
        return install_cni(Context{.settings = settings,
                                   .out = [this](std::string_view text) { out += text; },
                                   .err = [this](std::string_view text) { err += text; },
                                   .read_standard_input = {}},
                           options);
    }
    [[nodiscard]] std::string read(const fs::path& path) const {
        std::ifstream file(root / path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    [[nodiscard]] std::size_t files(const fs::path& directory) const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(root / directory), {}));
    }
};

}  // namespace

TEST_CASE("install-cni puts program and list in place, also over an older installation, and nothing else") {
    Machine machine;
    for (int i = 0; i < 2; ++i) {
        REQUIRE(machine.install() == ExitCode::ok);
        CHECK(machine.read("bin/manul") == "program");
        struct stat status{};
        REQUIRE(::stat((machine.root / "bin/manul").c_str(), &status) == 0);
        CHECK((status.st_mode & 0777U) == 0755);
        const json::value list = json::parse(machine.read("net.d/10-manul.conflist"));
        CHECK(list.at("cniVersion") == "1.0.0");
        CHECK(list.at("plugins").at(0).at("type") == "manul");
        CHECK(machine.files("bin") == 1);
        CHECK(machine.files("net.d") == 1);
        std::ofstream(machine.root / "bin/manul") << "older";
    }
    CHECK(machine.err.empty());
    machine.options.remove = true;
    CHECK(machine.install() == ExitCode::ok);
    CHECK(machine.files("bin") == 0);
    CHECK(machine.files("net.d") == 0);
    CHECK(machine.install() == ExitCode::ok);  // nothing to remove is no failure
}

TEST_CASE("install-cni writes no list when the program cannot be installed") {
    Machine machine;
    machine.options.plugin = machine.root / "nowhere";
    CHECK(machine.install() == ExitCode::failed);
    CHECK_FALSE(fs::exists(machine.root / "net.d/10-manul.conflist"));
    machine.options.plugin = machine.root / "plugin";
    machine.options.bin_dir = machine.root / "plugin/bin";  // below a file
    CHECK(machine.install() == ExitCode::failed);
    CHECK_FALSE(fs::exists(machine.root / "net.d/10-manul.conflist"));
    CHECK_THAT(machine.err, Catch::Contains("plugin/bin/manul"));
}

TEST_CASE("install-cni takes a list of one's own as it is, and refuses what is none") {
    Machine machine;
    const std::string own =
        R"({"cniVersion":"0.3.1","name":"k8s-pod-network","plugins":[{"type":"manul"},{"type":"tuning"}]})";
    machine.options.conf = machine.root / "own";
    std::ofstream(machine.root / "own") << own;
    REQUIRE(machine.install() == ExitCode::ok);
    CHECK(machine.read("net.d/10-manul.conflist") == own);
    std::ofstream(machine.root / "own") << R"({"type":"manul"})";
    CHECK(machine.install() == ExitCode::failed);
    CHECK(machine.read("net.d/10-manul.conflist") == own);
    machine.options.conf_name = "manul.txt";
    CHECK(machine.install() == ExitCode::failed);
}

TEST_CASE("install-cni names lists that a runtime would take instead") {
    Machine machine;
    fs::create_directories(machine.root / "net.d");
    std::ofstream(machine.root / "net.d/05-other.conflist") << "{}";
    std::ofstream(machine.root / "net.d/87-podman.conflist") << "{}";
    REQUIRE(machine.install() == ExitCode::ok);
    CHECK_THAT(machine.err, Catch::Contains("05-other.conflist comes first") && !Catch::Contains("87-podman"));
}

TEST_CASE("the list says what differs from the defaults, and leaves published ports to portmap on Kubernetes") {
    Machine machine;
    machine.settings.run_dir = "/run/other";
    machine.options.mtu = 1400;
    machine.options.ipv6 = true;
    machine.options.policy_timeout = 0;
    const json::value own = json::parse(network_list(machine.settings, machine.options));
    const json::value& plugin = own.at("plugins").at(0);
    CHECK(plugin.at("run_dir") == "/run/other");
    CHECK_FALSE(plugin.as_object().contains("state_dir"));
    CHECK(plugin.at("mtu") == 1400);
    CHECK(plugin.at("policy_setup_timeout_seconds") == 0);
    CHECK(plugin.at("ipam").at("assign_ipv6") == true);
    CHECK(plugin.at("capabilities").at("portMappings") == true);
    CHECK(own.at("plugins").as_array().size() == 1);

    machine.settings.datastore.type = config::DatastoreType::kubernetes;
    const json::value chained = json::parse(network_list(machine.settings, machine.options));
    CHECK_FALSE(chained.at("plugins").at(0).at("capabilities").as_object().contains("portMappings"));
    CHECK(chained.at("plugins").at(1).at("type") == "portmap");
}
