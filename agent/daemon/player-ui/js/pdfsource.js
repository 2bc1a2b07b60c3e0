/* Feeds pdf.js by Range requests over XHR: a 200 MB textbook is read page by page, never whole into memory.
   Own transport instead of pdf.js's, which needs AbortController (Chrome 66). */
(function () {
  'use strict';
  var BBT = window.BBT;
  var CHUNK = 131072;
  var script = null;

  function base() { return window.location.href.split(/[?#]/)[0].replace(/[^/]*$/, ''); }

  /* pdf.js is 0.5 MB: loaded with the first document, not with the first page. */
  function library(done, failed) {
    if (window.pdfjsLib) { done(window.pdfjsLib); return; }
    if (script) { script.parentNode.removeChild(script); }
    script = BBT.h('script', { src: 'vendor/pdf.min.js' });
    script.onload = function () {
      window.pdfjsLib.GlobalWorkerOptions.workerSrc = 'vendor/pdf.worker.min.js';
      done(window.pdfjsLib);
    };
    script.onerror = function () { failed(); };
    document.head.appendChild(script);
  }

  /* Bytes [from, to) of `url`; answers (buffer, total) with buffer from 0 where the server knows no Range. */
  function range(url, from, to, done, failed) {
    var request = new XMLHttpRequest();
    request.open('GET', url);
    request.responseType = 'arraybuffer';
    request.setRequestHeader('Range', 'bytes=' + from + '-' + (to - 1));
    request.onload = function () {
      var total = /\/(\d+)$/.exec(request.getResponseHeader('Content-Range') || '');
      if (request.status === 206 && total) {
        done(request.response, Number(total[1]));
      } else if (request.status === 200) {
        done(request.response, request.response.byteLength);
      } else {
        failed(request.status);
      }
    };
    request.onerror = function () { failed(0); };
    request.send();
    return request;
  }

  /* Opens `url`: done(document, destroy) or failed('locked' | 'broken' | 'unread'). Returns a function that gives up. */
  BBT.openPdf = function (url, done, failed) {
    var open = [], over = false, task = null;

    function end() {
      over = true;
      open.forEach(function (request) { request.abort(); });
      open = [];
      if (task) { task.destroy(); }
    }

    function fail(why) { if (!over) { end(); failed(why); } }

    function start(pdfjs, first, total) {
      var options = {
        cMapUrl: base() + 'vendor/cmaps/', cMapPacked: true,
        /* pdf.js would compile fonts with eval: forbidden by our CSP, and the way of CVE-2024-4367. */
        isEvalSupported: false,
        enableXfa: false,
        /* A scan above this (A4 at 700 dpi) would take more memory than a 1 GiB board has; it stays blank. */
        maxImageSize: 50000000,
        rangeChunkSize: CHUNK, disableAutoFetch: true, disableStream: true
      };
      var transport;
      if (first.byteLength >= total) {
        options.data = new Uint8Array(first);
      } else {
        transport = new pdfjs.PDFDataRangeTransport(total, new Uint8Array(first));
        transport.requestDataRange = function (from, to) {
          var request = range(url, from, to, function (buffer) {
            open.splice(open.indexOf(request), 1);
            if (!over) { transport.onDataRange(from, new Uint8Array(buffer)); }
          }, function () { fail('unread'); });
          open.push(request);
        };
        options.range = transport;
      }
      task = pdfjs.getDocument(options);
      task.promise.then(function (pdf) {
        if (!over) { done(pdf); }
      }, function (error) {
        fail(error && error.name === 'PasswordException' ? 'locked' : 'broken');
      });
    }

    library(function (pdfjs) {
      if (over) { return; }
      open.push(range(url, 0, CHUNK, function (first, total) {
        open = [];
        if (!over) { start(pdfjs, first, total); }
      }, function () { fail('unread'); }));
    }, function () { fail('unread'); });
    return end;
  };
}());
