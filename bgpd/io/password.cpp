#include "bgpd/io/password.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include "bgpd/speaker/configuration.hpp"

namespace manul::bgp::io {

void look_up_passwords(speaker::Configuration& configuration, const std::string& directory) {
    for (speaker::PeerConfig& peer : configuration.peers) {
        if (!peer.password) {
            continue;
        }
        std::ifstream file(directory + "/" + peer.password->secret + "/" + peer.password->key, std::ios::binary);
        if (!file) {
            continue;
        }
        std::string text{std::istreambuf_iterator<char>(file), {}};
        while (text.ends_with('\n') || text.ends_with('\r')) {
            text.pop_back();
        }
        if (!text.empty()) {
            peer.password->value = std::move(text);
        }
    }
}

}  // namespace manul::bgp::io
