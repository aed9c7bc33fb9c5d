#include "bgpd/io/tcp_ao.hpp"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

namespace manul::bgp::io {
namespace {

using speaker::TcpAo;

TEST_CASE("a TCP-AO key stands where linux/tcp.h wants it") {
    const auto key = make_ao_key(*net::Prefix::parse("10.0.0.0/8"), TcpAo{5, 7, TcpAo::Algorithm::aes_128_cmac}, "abc");
    REQUIRE(key.has_value());
    std::array<unsigned char, sizeof(TcpAoAdd)> bytes{};
    std::memcpy(bytes.data(), &*key, bytes.size());
    CHECK(bytes[0] == AF_INET);
    CHECK(bytes[4] == 10);
    CHECK(std::string(reinterpret_cast<const char*>(&bytes[128])) == "cmac(aes128)");
    CHECK(bytes[202] == 8);
    CHECK(bytes[203] == 5);
    CHECK(bytes[204] == 7);
    CHECK(bytes[205] == 0);
    CHECK(bytes[207] == 3);
    CHECK(std::memcmp(&bytes[208], "abc", 4) == 0);
    CHECK(make_ao_key(*net::Prefix::parse("10.0.0.1/32"), {}, std::string(80, 'x')).has_value());
    CHECK_FALSE(make_ao_key(*net::Prefix::parse("10.0.0.1/32"), {}, std::string(81, 'x')).has_value());
    CHECK_FALSE(make_ao_key(*net::Prefix::parse("10.0.0.1/32"), {}, "").has_value());
}

TEST_CASE("without TCP-AO in the kernel peers that ask for it stay down, the others do not") {
    CHECK(ao_obstacle(0).empty());
    CHECK(ao_obstacle(ENOPROTOOPT).find("no TCP-AO") != std::string::npos);
    CHECK(ao_obstacle(ENOENT).find("refuses") != std::string::npos);

    speaker::Configuration configuration;
    configuration.peers.resize(3);
    configuration.peers[1].tcp_ao = TcpAo{};
    configuration.peers[2].tcp_ao = TcpAo{};
    configuration.peers[2].problem = "filter x does not exist";
    configuration.ranges.resize(1);
    configuration.ranges[0].tcp_ao = TcpAo{};
    const speaker::Configuration before = configuration;
    require_ao(configuration, "");
    CHECK(configuration == before);
    require_ao(configuration, "no way");
    CHECK(configuration.peers[0].problem.empty());
    CHECK(configuration.peers[1].problem == "no way");
    CHECK(configuration.peers[2].problem == "filter x does not exist");
    CHECK(configuration.ranges[0].problem == "no way");
}

}  // namespace
}  // namespace manul::bgp::io
