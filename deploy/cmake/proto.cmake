# urd_proto(saga/journal.proto TARGET saga)
#   generates saga/journal.pb-c.{h,c} into the build folder, #include "saga/journal.pb-c.h", compiles
#   it without the house's warnings (it is not ours), and links it into TARGET.
function(urd_proto file)
  cmake_parse_arguments(P "" "TARGET" "" ${ARGN})
  find_program(PROTOC_C protoc-c REQUIRED)
  string(REGEX REPLACE "\\.proto$" "" stem ${file})
  set(base ${PROJECT_BINARY_DIR}/${stem}.pb-c)
  add_custom_command(OUTPUT ${base}.c ${base}.h
    COMMAND ${PROTOC_C} --c_out=${PROJECT_BINARY_DIR} --proto_path=${PROJECT_SOURCE_DIR} ${file}
    DEPENDS ${PROJECT_SOURCE_DIR}/${file} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  string(MAKE_C_IDENTIFIER ${stem} id)
  add_library(proto_${id} OBJECT ${base}.c ${base}.h)
  target_include_directories(proto_${id} PUBLIC ${PROJECT_BINARY_DIR})
  urd_pkg(proto_${id} libprotobuf-c)
  target_sources(${P_TARGET} PRIVATE $<TARGET_OBJECTS:proto_${id}> ${base}.h)
  urd_pkg(${P_TARGET} libprotobuf-c)
endfunction()
