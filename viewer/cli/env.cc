// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/env.h"

#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "viewer/cli/format.h"
#include "viewer/cli/json.h"
#include "viewer/cli/output.h"
#include "viewer/cli/session_file.h"

namespace socktale {
namespace {

std::string_view Value(const std::string& setting) { return std::string_view(setting).substr(setting.find('=') + 1); }

std::string_view Key(const std::string& setting) { return std::string_view(setting).substr(0, setting.find('=')); }

// The value of a setting of the session; empty when it has none.
std::string_view ValueOf(const NamedSession& session, std::string_view key) {
  for (const std::string& setting : session.environment) {
    if (Key(setting) == key) return Value(setting);
  }
  return "";
}

// The arena's path stands last in SOCKTALE_ATTACH: "1,token,socket,path".
std::string ArenaPath(const NamedSession& session) {
  std::string_view rest = ValueOf(session, "SOCKTALE_ATTACH");
  for (int i = 0; i < 3; ++i) rest.remove_prefix(std::min(rest.find(',') + 1, rest.size()));
  return std::string(rest);
}

std::string Directory(const std::string& path) { return path.substr(0, path.rfind('/')); }

// systemd.exec(5): double quotes around an assignment, with C escapes; % begins a specifier.
std::string SystemdQuote(const std::string& setting) {
  std::string quoted = "\"";
  for (const char c : setting) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '%') quoted += '%';
    quoted += c;
  }
  return quoted + "\"";
}

void Print(const NamedSession& session, EnvForm form, Output& output) {
  switch (form) {
    case EnvForm::kPlain:
      for (const std::string& setting : session.environment) output.Line(setting);
      break;
    case EnvForm::kShell:
      for (const std::string& setting : session.environment) {
        output.Line(absl::StrCat("export ", std::string(Key(setting)), "=", ShellQuoteBytes(Value(setting))));
      }
      break;
    case EnvForm::kDocker: {
      // The container must see the shim and the arena under their own paths. It cannot reach the abstract socket.
      const std::string arena = Directory(ArenaPath(session));
      const std::string shim(ValueOf(session, "LD_PRELOAD"));
      output.Line(absl::StrCat("-v ", arena, ":", arena, " -v ", shim, ":", shim, ":ro"));
      for (const std::string& setting : session.environment) output.Line(absl::StrCat("-e ", setting));
      break;
    }
    case EnvForm::kSystemd:
      output.Line("[Service]");
      for (const std::string& setting : session.environment) output.Line("Environment=" + SystemdQuote(setting));
      break;
    case EnvForm::kJson: {
      Json object = {{"type", "env"}, {"name", session.name}, {"trace", session.trace_path}};
      for (const std::string& setting : session.environment) {
        object["env"][std::string(Key(setting))] = std::string(Value(setting));
      }
      WriteJson(output, object);
      break;
    }
  }
}

}  // namespace

int RunEnv(const EnvOptions& options, const CommonOptions& common) {
  const absl::StatusOr<NamedSession> session = FindSession(options.into);
  if (!session.ok()) return Trouble(session.status());
  absl::StatusOr<std::unique_ptr<Output>> output = Output::Open(common, false);
  if (!output.ok()) return Trouble(output.status());
  Print(*session, common.json ? EnvForm::kJson : options.form, **output);
  const absl::Status closed = (*output)->Close();
  return closed.ok() ? kExitDone : Trouble(closed);
}

}  // namespace socktale
