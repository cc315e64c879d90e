# SPDX-License-Identifier: Apache-2.0
# CPack: a Debian package and a tarball.

install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES proto/event.proto proto/trace.proto DESTINATION ${CMAKE_INSTALL_DATADIR}/socktale/proto)

set(CPACK_GENERATOR "DEB;TGZ")
set(CPACK_PACKAGE_NAME socktale)
set(CPACK_PACKAGE_VENDOR "The socktale developers")
set(CPACK_PACKAGE_CONTACT "The socktale developers <maintainers@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_DEPENDS libc6)
include(CPack)
