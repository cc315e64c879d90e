// SPDX-License-Identifier: Apache-2.0
//
// protoc-gen-field_numbers: writes the field numbers and enum values of a .proto file as a C++ header that needs
// nothing else, so that the shim, which links neither libprotobuf nor libstdc++, can never disagree with the messages.
//
//   message Event { sint32 fd = 2; }   →  namespace socktale::field::event { inline constexpr uint32_t kFd = 2; }
//   enum Call { CALL_READ = 1; }       →  namespace socktale::field { enum Call : uint32_t { CALL_READ = 1 }; }
//
// The header of x.proto is called x_fields.h.

#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/compiler/plugin.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <cctype>
#include <memory>
#include <string>

namespace socktale {
namespace {

namespace pb = google::protobuf;

// start_ns → StartNs.
std::string CamelCase(const std::string& snake) {
  std::string camel;
  bool start = true;
  for (const char c : snake) {
    if (c == '_') {
      start = true;
      continue;
    }
    camel += start ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    start = false;
  }
  return camel;
}

// NetworkThing → network_thing.
std::string SnakeCase(const std::string& camel) {
  std::string snake;
  for (const char c : camel) {
    if (std::isupper(static_cast<unsigned char>(c)) && !snake.empty()) snake += '_';
    snake += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return snake;
}

class FieldNumbers : public pb::compiler::CodeGenerator {
 public:
  bool Generate(const pb::FileDescriptor* file, const std::string&, pb::compiler::GeneratorContext* context,
                std::string* error) const override {
    std::string base = file->name();
    const size_t suffix = base.rfind(".proto");
    if (suffix == std::string::npos || file->package().empty()) {
      *error = file->name() + ": expected a file x.proto with a package";
      return false;
    }
    base.resize(suffix);
    const std::unique_ptr<pb::io::ZeroCopyOutputStream> out(context->Open(base + "_fields.h"));
    pb::io::Printer printer(out.get(), '$');
    printer.Print(
        "// Generated from $file$. Do not edit.\n\n#pragma once\n\n#include <stdint.h>\n\n"
        "namespace $package$::field {\n",
        "file", file->name(), "package", file->package());
    for (int i = 0; i < file->enum_type_count(); ++i) PrintEnum(*file->enum_type(i), &printer);
    for (int i = 0; i < file->message_type_count(); ++i) PrintMessage(*file->message_type(i), &printer);
    printer.Print("\n}  // namespace $package$::field\n", "package", file->package());
    if (printer.failed()) *error = file->name() + ": cannot write the header";
    return !printer.failed();
  }

  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }

 private:
  static void PrintEnum(const pb::EnumDescriptor& type, pb::io::Printer* printer) {
    printer->Print("\nenum $name$ : uint32_t {\n", "name", type.name());
    for (int i = 0; i < type.value_count(); ++i) {
      printer->Print("  $name$ = $number$,\n", "name", type.value(i)->name(), "number",
                     std::to_string(type.value(i)->number()));
    }
    printer->Print("};\n");
  }

  static void PrintMessage(const pb::Descriptor& type, pb::io::Printer* printer) {
    printer->Print("\nnamespace $name$ {\n", "name", SnakeCase(type.name()));
    for (int i = 0; i < type.field_count(); ++i) {
      printer->Print("inline constexpr uint32_t k$name$ = $number$;\n", "name", CamelCase(type.field(i)->name()),
                     "number", std::to_string(type.field(i)->number()));
    }
    printer->Print("}\n");
  }
};

}  // namespace
}  // namespace socktale

int main(int argc, char** argv) {
  const socktale::FieldNumbers generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
