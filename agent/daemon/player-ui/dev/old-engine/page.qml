import QtQuick 2.9
import QtQuick.Window 2.2
import QtWebEngine 1.5

Window {
    visible: true
    width: 1920
    height: 1080
    WebEngineView {
        anchors.fill: parent
        url: Qt.application.arguments[1]
    }
}
