/* A teacher's own files on a USB disk, played as they are. */
(function () {
  'use strict';
}());
