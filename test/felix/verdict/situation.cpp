#include "test/felix/verdict/situation.hpp"

#include <charconv>
#include <map>
#include <sstream>

#include <catch2/catch.hpp>

namespace manul::felix::test {

namespace {

/// What one line asks for.
struct Line {
    std::vector<std::string> from;
    std::string as;  ///< whose address, if not the sender's own
    std::vector<std::string> to;
    Packet packet;  ///< without addresses
    std::size_t payload = 8;
    bool v4 = true;
    bool v6 = true;
    bool ping = false;
    bool answer = false;
    Form form = Form::whole;
    Fate fate = Fate::arrives;
};

const std::map<std::string, Form> kForms{
    {"options", Form::options}, {"fragments", Form::fragments}, {"shuffled", Form::shuffled}, {"rest", Form::rest}};

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, separator);) {
        parts.push_back(part);
    }
    return parts;
}

class LineParser {
public:
    explicit LineParser(const std::string& text) : in_(text) {}

    Line parse() {
        Line line;
        line.from = split(word(), ',');
        std::string next = word();
        if (next == "as") {
            line.as = word();
            next = word();
        }
        REQUIRE(next == ">");
        line.to = split(word(), ',');
        protocol(line);
        for (next = word(); !verdict(line, next); next = word()) {
            option(line, next);
        }
        return line;
    }

private:
    std::string word() {
        std::string text;
        in_ >> text;
        REQUIRE_FALSE(text.empty());
        return text;
    }

    template <class T>
    static T number(const std::string& text) {
        T value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        REQUIRE(error == std::errc{});
        REQUIRE(end == text.data() + text.size());
        return value;
    }

    void protocol(Line& line) {
        const std::string name = word();
        Packet& packet = line.packet;
        if (name == "ping") {
            line.ping = true;
        } else if (name == "icmp" || name == "icmp6") {
            packet.protocol = name == "icmp" ? net::kIcmp : net::kIcmpv6;
            (name == "icmp" ? line.v6 : line.v4) = false;
            const auto parts = split(word(), '/');
            packet.icmp_type = number<std::uint8_t>(parts.at(0));
            packet.icmp_code = parts.size() > 1 ? number<std::uint8_t>(parts[1]) : std::uint8_t{0};
        } else if (name == "proto") {
            packet.protocol = *net::Protocol::make(number<std::uint8_t>(word()));
        } else {
            REQUIRE((name == "tcp" || name == "udp" || name == "sctp"));
            packet.protocol = name == "tcp" ? net::kTcp : name == "udp" ? net::kUdp : net::kSctp;
            packet.destination_port = number<std::uint16_t>(word());
        }
    }

    void option(Line& line, const std::string& text) {
        if (text == "v4") {
            line.v6 = false;
        } else if (text == "v6") {
            line.v4 = false;
        } else if (text == "from") {
            line.packet.source_port = number<std::uint16_t>(word());
        } else if (text == "bare") {
            line.payload = 0;
        } else if (text == "answer") {
            line.answer = true;
        } else if (const auto form = kForms.find(text); form != kForms.end()) {
            line.form = form->second;
        } else {
            FAIL("what is \"" << text << "\"?");
        }
    }

    static bool verdict(Line& line, const std::string& text) {
        for (const Fate fate : {Fate::arrives, Fate::vanishes, Fate::refused}) {
            if (text == to_string(fate)) {
                line.fate = fate;
                return true;
            }
        }
        return false;
    }

    std::istringstream in_;
};

/// A packet that a line stands for, and where it goes by.
struct Probe {
    const std::string* line;
    const Party* from;
    const Party* to;
    Fate fate;
};

std::uint16_t fresh_port() {
    static std::uint16_t next = 20000;
    next = next >= 60000 ? 20000 : static_cast<std::uint16_t>(next + 1);
    return next;
}

Fate fate_of(const Shot& shot) { return shot.arrived ? Fate::arrives : shot.refused ? Fate::refused : Fate::vanishes; }

}  // namespace

std::string describe(const Packet& packet) {
    std::string text =
        packet.source.to_string() + " > " + packet.destination.to_string() + " " + packet.protocol.to_string();
    if (packet.destination_port) {
        text += " " + std::to_string(packet.source_port.value_or(0)) + ">" + std::to_string(*packet.destination_port);
    }
    if (packet.icmp_type) {
        text += " " + std::to_string(*packet.icmp_type) + "/" + std::to_string(packet.icmp_code.value_or(0));
    }
    return text;
}

void Situation::check(const std::vector<std::string>& lines, bool ask_evaluator, bool kept) {
    std::vector<Probe> probes;
    std::vector<Shot> shots;
    const auto add = [&](const std::string& text, const Line& line, const Party& from, const Party& to,
                         net::Family family) {
        Packet packet = line.packet;
        packet.source = (line.as.empty() ? from : site_.party(line.as)).address(family);
        packet.destination = to.address(family);
        if (line.ping) {
            packet.protocol = family == net::Family::v4 ? net::kIcmp : net::kIcmpv6;
            packet.icmp_type = family == net::Family::v4 ? std::uint8_t{8} : std::uint8_t{128};
            packet.icmp_code = std::uint8_t{0};
        }
        if (packet.destination_port && !packet.source_port) {
            packet.source_port = fresh_port();
        }
        if (line.answer) {
            std::swap(packet.source, packet.destination);
            std::swap(packet.source_port, packet.destination_port);
        }
        const Party& sender = line.answer ? to : from;
        const Party& receiver = line.answer ? from : to;
        probes.push_back({&text, &sender, &receiver, line.fate});
        shots.push_back({sender.place, receiver.place, packet, line.payload, line.form, false, false});
    };
    for (const std::string& text : lines) {
        INFO(text);
        const Line line = LineParser(text).parse();
        for (const std::string& from : line.from) {
            for (const std::string& to : line.to) {
                if (line.v4) {
                    add(text, line, site_.party(from), site_.party(to), net::Family::v4);
                }
                if (line.v6) {
                    add(text, line, site_.party(from), site_.party(to), net::Family::v6);
                }
            }
        }
    }
    site_.lab().fire(shots, kept);
    std::string different;
    for (std::size_t i = 0; i < probes.size(); ++i) {
        const Probe& probe = probes[i];
        const Fate kernel = fate_of(shots[i]);
        const std::string what = *probe.line + " (" + describe(shots[i].packet) + "): ";
        if (kernel != probe.fate) {
            different += what + "the kernel says " + std::string(to_string(kernel)) + "\n";
        }
        if (!ask_evaluator) {
            continue;
        }
        const Site::Judgement judgement = site_.judge(*probe.from, *probe.to, shots[i].packet);
        if (judgement.fate != probe.fate) {
            different +=
                what + "the evaluator says " + std::string(to_string(judgement.fate)) + ": " + judgement.trace + "\n";
        }
    }
    INFO(site_.describe());
    CHECK(different == "");
}

void Situation::change_pod(const std::string& name, const std::function<void(model::WorkloadEndpoint&)>& edit) {
    auto endpoint = std::make_shared<model::WorkloadEndpoint>(site_.endpoint(name));
    edit(*endpoint);
    site_.write({endpoint}, {});
}

std::string Situation::text(const std::vector<std::string>& documents) {
    std::string all;
    for (const std::string& document : documents) {
        all += document;
    }
    return all;
}

namespace {

std::string document(const std::string& api, const std::string& kind, const std::string& metadata,
                     const std::string& rest) {
    return "---\napiVersion: " + api + "\nkind: " + kind + "\nmetadata: {" + metadata + "}\n" + rest + "\n";
}

}  // namespace

std::string object(const std::string& kind, const std::string& metadata, const std::string& rest) {
    return document(kind == "Namespace" || kind == "ServiceAccount" ? "v1" : "projectcalico.org/v3", kind, metadata,
                    rest);
}

std::string np(const std::string& ns, const std::string& name, const std::string& spec) {
    return object("NetworkPolicy", "namespace: " + ns + ", name: " + name, "spec: {" + spec + "}");
}

std::string gnp(const std::string& name, const std::string& spec) {
    return object("GlobalNetworkPolicy", "name: " + name, "spec: {" + spec + "}");
}

std::string knp(const std::string& ns, const std::string& name, const std::string& spec) {
    return document("networking.k8s.io/v1", "NetworkPolicy", "namespace: " + ns + ", name: " + name,
                    "spec: {" + spec + "}");
}

std::string tier_of(const std::string& name, const std::string& spec) {
    return object("Tier", "name: " + name, "spec: {" + spec + "}");
}

std::string felix_config(const std::string& spec) {
    return object("FelixConfiguration", "name: default", "spec: {" + spec + "}");
}

}  // namespace manul::felix::test
