#include "felix/model/config.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "net/port_range.hpp"

namespace manul::felix {

namespace {

struct Row {
    net::Protocol protocol;
    std::uint16_t port;
};

std::vector<FailsafePort> ports(std::initializer_list<Row> rows) {
    std::vector<FailsafePort> list;
    list.reserve(rows.size());
    for (const Row& row : rows) {
        list.push_back(FailsafePort{row.protocol, row.port, std::nullopt});
    }
    return list;
}

}  // namespace

std::vector<FailsafePort> default_failsafe_inbound() {
    return ports({{net::kTcp, 22},
                  {net::kUdp, 68},
                  {net::kTcp, 179},
                  {net::kTcp, 2379},
                  {net::kTcp, 2380},
                  {net::kTcp, 5473},
                  {net::kTcp, 6443},
                  {net::kTcp, 6666},
                  {net::kTcp, 6667}});
}

std::vector<FailsafePort> default_failsafe_outbound() {
    return ports({{net::kUdp, 53},
                  {net::kUdp, 67},
                  {net::kTcp, 179},
                  {net::kTcp, 2379},
                  {net::kTcp, 2380},
                  {net::kTcp, 5473},
                  {net::kTcp, 6443},
                  {net::kTcp, 6666},
                  {net::kTcp, 6667}});
}

}  // namespace manul::felix
